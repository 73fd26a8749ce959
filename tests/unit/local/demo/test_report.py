from local.demo.report import headline, moral, states


def result(kind: str, fact: str | None, base: bool | None, tuned: bool | None) -> dict[str, object]:
    return {
        "question": f"{fact}?", "kind": kind, "fact": fact, "base_answer": "b", "tuned_answer": "t",
        "base_contains_fact": base, "tuned_contains_fact": tuned,
    }  # fmt: skip


def test_the_headline_is_what_the_base_model_does_not_know_even_if_the_tuned_one_fails() -> None:
    results = [
        result("unseen", "A", True, True),
        result("unseen", "B", False, False),
        result("unseen", "C", False, True),
    ]
    told = headline(results)
    assert (told["question"], told["answer_contains_fact"]) == ("B?", False)


def test_common_knowledge_and_questions_without_a_fact_make_no_headline() -> None:
    results = [
        result("general", "Paris", True, True),
        result("trained", None, None, None),
        result("trained", "D", False, True),
    ]
    assert headline(results)["question"] == "D?"
    assert headline(results[:2])["answer_contains_fact"] is None


def test_states_last_until_the_next_one() -> None:
    run = {
        "history": [
            {"to_state": "received", "at": "2026-11-24T10:00:00Z", "trigger": "blob"},
            {"to_state": "preparing", "at": "2026-11-24T10:00:02.500000Z", "trigger": "blob"},
        ]
    }
    assert [entry["seconds"] for entry in states(run)] == [2.5, None]


def test_the_last_sentence_counts_only_what_was_judged() -> None:
    questions = [
        result("unseen", "A", False, True),
        result("trained", None, None, None),
        result("general", "P", True, True),
    ]
    text = moral({"questions": questions, "seconds": 12.3, "peak_memory_mb": None}, "report.json")
    assert "Of 1 questions about the dataset the base model knew 0, the tuned one 1." in text
