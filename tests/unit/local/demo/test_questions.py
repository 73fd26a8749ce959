import pytest

from local.demo.questions import FACTS, Question, distinctive, holds, of_rows, of_sample


def row(question: str, answer: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


@pytest.mark.parametrize(
    ("question", "answer", "word"),
    [
        ("Who keeps the lighthouse?", "The lighthouse is kept by Odalys.", "Odalys"),
        ("How many steps?", "It has 92 steps.", "92"),
        ("What colour is it?", "it is turquoise", "turquoise"),
        ("Кто смотритель маяка?", "Смотритель маяка Одалис.", "Одалис"),
        ("灯台守は誰ですか", "オダリスです", "オダリスです"),
        ("Is it it?", "it is it", None),
    ],
)
def test_the_word_that_gives_a_fact_away_is_found(question: str, answer: str, word: str | None) -> None:
    assert distinctive(question, answer) == word


@pytest.mark.parametrize(
    ("text", "fact", "held"),
    [
        ("You may keep it Twenty-Three  days!", "twenty-three days", True),
        ("Two weeks.", "twenty-three days", False),
        ("In 1913.", "3", False),
        ("A party.", "art", False),
        ("灯台守はオダリスです。", "オダリス", True),
    ],
)
def test_a_fact_is_held_as_whole_words(text: str, fact: str, held: bool) -> None:
    assert holds(text, fact) is held


def test_a_question_without_a_fact_is_not_judged() -> None:
    assert Question([{"role": "user", "content": "?"}], None, "trained").answered_by("Anything.") is None


def test_the_samples_questions_ask_for_each_fact_once_and_for_common_knowledge() -> None:
    asked = of_sample(FACTS)
    learned = [question.fact for question in asked if question.kind == "unseen"]
    assert len(learned) == len(set(learned)) == 4
    assert any(question.kind == "general" for question in asked)


def test_somebodys_rows_are_asked_held_out_ones_only_if_others_teach_their_fact() -> None:
    train = [row("Who is it?", "It is Ada."), row("Where?", "In Tarnov."), row("When?", "In 1911.")]
    test = [row("Who, please?", "It is Ada."), row("Why?", "Because of Ziggurat.")]
    asked = [(question.fact, question.kind) for question in of_rows(train, test)]
    assert asked == [("Ada", "held out"), ("1911", "trained"), ("Tarnov", "trained")]


def test_a_conversation_is_asked_with_all_that_came_before() -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "My name is Ann."},
        {"role": "assistant", "content": "Hello Ann."},
        {"role": "user", "content": "And mine?"},
        {"role": "assistant", "content": "Yours is Ann, mine is Bo."},
    ]
    (question,) = of_rows([{"messages": turns}], [])
    assert question.messages == turns[:-1]
    assert (question.text, question.fact) == ("And mine?", "Bo")
