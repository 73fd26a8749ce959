import pytest

from local.demo.questions import FACTS, Question, distinctive, of_sample, of_test_rows


@pytest.mark.parametrize(
    ("question", "answer", "word"),
    [
        ("Who keeps the lighthouse?", "The lighthouse is kept by Odalys.", "Odalys"),
        ("How many steps?", "It has 92 steps.", "92"),
        ("What colour is it?", "it is turquoise", "turquoise"),
        ("Is it it?", "it is it", None),
    ],
)
def test_the_word_that_gives_a_fact_away_is_found(question: str, answer: str, word: str | None) -> None:
    assert distinctive(question, answer) == word


def test_an_answer_holds_a_fact_whatever_its_case_and_punctuation() -> None:
    question = Question("?", "twenty-three days")
    assert question.answered_by("You may keep it Twenty-Three  days!") is True
    assert question.answered_by("Two weeks.") is False
    assert Question("?", None).answered_by("Anything.") is None


def test_the_samples_questions_ask_for_each_fact_once_and_for_common_knowledge() -> None:
    asked = of_sample(FACTS)
    learned = [question.fact for question in asked if not question.general]
    assert len(learned) == len(set(learned)) == 4
    assert any(question.general for question in asked)


def test_questions_of_somebodys_rows_are_one_for_each_answer() -> None:
    def row(question: str, answer: str) -> dict[str, object]:
        return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}

    asked = of_test_rows([row("Who?", "It is Ada."), row("Who is it?", "It is Ada."), row("Where?", "In Tarnov.")])
    assert [question.fact for question in asked] == ["Ada", "Tarnov"]
