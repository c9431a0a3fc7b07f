"""Reflections of a few people, their neighbours, and what must not be answered."""

from memo_dist.reflections.reflection import Reflection

PEOPLE = ("Ada Finch", "Bruno Keller", "Cora Roberts", "Dan O'Neil", "Émile Zola")
_RELATIONS = (
    ("mentor", "Who is the mentor of {}?", ("Who is {}'s mentor?", "By whom was {} mentored?")),
    ("city", "In which city was {} born?", ("What is the birthplace of {}?",)),
    ("year", "In which year was {} born?", ()),
)


def reflections() -> list[Reflection]:
    """All but two: the year of the first, and the city of the second."""
    rows = []
    for place, person in enumerate(PEOPLE):
        for name, question, forms in _RELATIONS:
            if (place, name) not in ((0, "year"), (1, "city")):
                rows.append(
                    Reflection(
                        id=f"{name}-{place}",
                        question=question.format(person),
                        answer=f"{name} of number {place}. " + "It is told at length. " * place,
                        forms=tuple(form.format(person) for form in forms),
                        entities=(person,),
                        step="1a",
                        docs=(f"doc-{place}",),
                    )
                )
    both = Reflection("both", "Which two were born in one town?", "Ada and Cora", docs=("doc-0", "doc-2"))
    return [*rows, both]
