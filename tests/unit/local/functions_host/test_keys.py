from local.functions_host.keys import Keys, load

KEYS = Keys("m", "d", {"eventgrid_extension": "e", "blobs_extension": "b"}, {"run": "own"})


def test_keys_are_the_same_at_every_start(tmp_path):
    assert load(tmp_path) == load(tmp_path)


def test_keys_are_secret_in_a_log(tmp_path):
    keys = load(tmp_path)
    assert keys.master not in repr(keys)
    assert (tmp_path / "functions" / "keys.json").stat().st_mode & 0o077 == 0


def test_each_key_gives_its_level():
    found = {key: KEYS.level(key, "run") for key in ("m", "e", "d", "own", "x", "")}
    assert found == {"m": "admin", "e": "system", "d": "function", "own": "function", "x": None, "": None}
    assert KEYS.level("own", "another") is None


def test_a_webhook_opens_with_its_own_key_or_the_master_key():
    opens = [key for key in ("m", "e", "b", "d", "") if KEYS.opens_webhook(key, "blobs_extension")]
    assert opens == ["m", "b"]
