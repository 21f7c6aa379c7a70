"""A planted example: what an editor shows of the marked line is not what Python reads."""

ACCESS = "user‮ ⁦# only for editors⁩ ⁦"


def is_long(sentence):
    return len(sentence.split()) > 25
