"""Questions: `{question, answer}`."""

from tunery.data.fields import as_object, blank, text_of
from tunery.data.rows import Conversation, Message, Row, RowError
from tunery.schemas.check import RowKind

API_VERSION = 1
TITLE = "Questions"
HELP = "One question with its answer."
ROW_KIND: RowKind = "conversation"
EXAMPLE = '{"question": "How many legs has a spider?", "answer": "Eight."}'


def recognise(record: object) -> str | None:
    """Why the record looks like this format; None when it doesn't."""
    if isinstance(record, dict) and "question" in record and "answer" in record:
        return "records have the fields question and answer"
    return None


def read(record: object) -> Row:
    """Translate one record. Raises RowError."""
    fields = as_object(record)
    question, answer = text_of(fields, "question"), text_of(fields, "answer")
    if blank(answer):
        raise RowError("empty_answer", "Put the expected answer into `answer`.", field="answer")
    return Conversation((Message.of("user", question), Message.of("assistant", answer)))
