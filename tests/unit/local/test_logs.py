"""The logs of local services do not grow without bound."""

from pathlib import Path

from local.processes import Log


def test_a_full_log_is_renamed_and_one_old_file_is_kept(tmp_path: Path) -> None:
    log = Log(tmp_path / "host.log", limit_bytes=1000)
    for number in range(100):
        log.write(f"{number:03} {'x' * 45}\n")
    log.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["host.log", "host.log.1"]
    assert all(file.stat().st_size <= 1000 for file in tmp_path.iterdir())
    assert log.tail(1).strip().startswith("099 ")


def test_a_log_is_continued_with_the_text_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "host.log"
    for line in ("100 % done\n", "{} %s äöü\n"):
        log = Log(path)
        log.write(line)
        log.close()
    assert path.read_text("utf-8") == "100 % done\n{} %s äöü\n"
