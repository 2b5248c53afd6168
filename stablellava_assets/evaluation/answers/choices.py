"""Multiple choice with circular evaluation (MMBench, Liu et al., 2023): right only if right in every rotation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase

from stablellava_assets.text.final_answer import final_answer, normalized
from stablellava_assets.text.keywords import find_affirmed, find_keyword

MOST_OPTIONS = len(ascii_uppercase)
_INSTRUCTION = "Answer with the option's letter from the given choices directly."
"""The instruction with which LLaVA-1.5 evaluates MMBench (Liu et al., 2023, "Improved Baselines
with Visual Instruction Tuning")."""

_DETERMINER = re.compile(r"\A\s*(?:an?|the|its|his|her|their|my|your|our)\s+(?=\S)", re.IGNORECASE)
_OPENING = r"""[(\[*"“'‘]*"""
_LETTER = rf"{_OPENING}([A-Za-z])\b(?![’'-]\w)"
_CAPITAL = rf"{_OPENING}((?-i:[A-Z]))\b(?![’'-]\w)"
# What follows a stand-alone letter; excludes the beginnings of "i.e." and "a dog".
_ENDS = r"""(?=[)\],:;!?*"”\n]|\.(?!(?-i:[a-z]))|[’'](?!\w)|\s*\Z|[ \t]+(?:\n|[-–—]|(?:is|because|since|as)\b))"""
# A and I are also words, so before most words they do not count as letters.
_NO_WORD = rf"(?:(?<![AI])|(?<=(?:option|choice) (?-i:A))|{_ENDS}|(?=[ \t]+(?:and|or)\b))"
_NOT_RULED_OUT = (
    r"(?![ \t]+(?:\w+n[’']t|cannot"
    r"|(?:is|was|does|can|could|would|must)[ \t]+(?:\w+ly[ \t]+)?(?:not|wrong|incorrect|false))\b)"
)
_IS = r"[ \t]+(?:is|was|(?:would|should|must|will)[ \t]+be)\b(?:[ \t]+\w+ly\b)?"
_ABOUT = r"(?:[ \t]+(?:to|for|from|of|here)\b[^.,;:!?\n]{0,60}?)?"
_NEGATED = r"(?:no|not|não|non|nicht|ne|pas|kein\w*|niet|ikke|inte|nie|не|ليس\w*|bukan|değil|không|नहीं)\b"
_NOT_A_NEGATION = rf"(?!{_NEGATED})"
# "Die richtige Antwort ist B.", "La respuesta correcta es la opción B", "Đáp án: B", "Jawabannya adalah B."
_ANSWER = (
    r"\b(?:alternativa|opción|opção|opzione|optie|вариант|seçenek|pilihan|phương[ \t]+án"
    r"|antwort|lösung|réponse|respuesta|resposta|risposta|antwoord|svar(?:et)?|vastaus|odpověď|odpowiedź"
    r"|válasz|răspuns(?:ul)?"
    r"|cevap|yanıt|jawaban(?:nya)?|đáp"
    r"[ \t]+án|ответ|відповідь|απάντηση|الإجابة|الجواب|उत्तर|คำตอบ(?:คือ)?|정답(?:은)?|답(?:은)?)\b"
)
_SOME_WORDS = rf"(?:[ \t]+{_NOT_A_NEGATION}(?:[^\W\d_]{{2,}}|[éèàáa]\b)){{0,4}}?"
_LINK = r"(?:[ \t]*[:=\-–—][ \t]*|[ \t]+)(?:(?:la|l[’']|el|die|de|o|a|der)[ \t]*)?"
# "答案是B", "故选B", "正确选项为B", "答えはB", "正解: B"; a space has been inserted after Chinese characters.
_CHINESE = (
    r"(?:答案|选项|選項|选择|選擇|选|選|答え|正解|解答|選択肢)(?:应该|應該|应当|应|應|就|項|项|择|擇)?(?:是|为|為|选|選|は)?"
    r"[ \t]*:?[ \t]*"
)
_CHINESE_ENDS = r"(?=[ \t]*(?:[項项]|가|이|是|为|為|正确|正確|对|對|选项|です|だ|が|입니다|이다|번))"
_SIGN = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f"
_CHOOSING = r"I(?:[’'](?:d|ll)|[ \t]+would|[ \t]+will)?[ \t]+(?:choose|pick|select|say|take|go[ \t]+with)"
_RULED_OUT = r"(?-i:[A-Z])\b(?![’'-]\w)"
_SURELY = (
    r"(?:most[ \t]+)?(?:probably|likely|definitely|clearly|certainly|surely|maybe|perhaps|possibly)"
    r"|(?:it[ \t]+)?looks[ \t]+like"
)
# In order of clarity: the first pattern that matches decides. Letters take the same forms as in answers.
_READINGS = [
    re.compile(normalized(reading), re.IGNORECASE)
    for reading in (
        # "Not A, but B", "不是A，是B"
        (
            rf"\bnot[ \t]+(?:option[ \t]+)?{_RULED_OUT}\W{{0,2}}[ \t]*(?:but|it(?:[’']s|[ \t]+is))[ \t]+(?:rather["
            rf" \t]+)?(?:option[ \t]+)?{_CAPITAL}{_ENDS}"
        ),
        rf"(?:不是|不选|不選|并非|並非)[ \t]*{_RULED_OUT}[ \t]*,?[ \t]*而?(?:是|选|選)[ \t]*{_CAPITAL}{_ENDS}",
        # "Answer: B", "The correct choice would be B", "The answer to this question is B because"
        rf"\b(?:answer|option|choice|correct[ \t]+letter){_ABOUT}(?:{_IS}[\s:*]*|[\s*]*[-:=][\s*]*)"
        rf"(?:letter )?{_LETTER}{_NO_WORD}",
        # "B", "(b)", "B. A dog", "B is correct."
        rf"\A\s*{_LETTER}{_ENDS}{_NOT_RULED_OUT}",
        # "Option B is correct."
        rf"(?<!not )(?<!n[’']t )\b(?:answer|option|choice)[ \t]+{_LETTER}{_NO_WORD}{_NOT_RULED_OUT}",
        (
            rf"{_ANSWER}{_SOME_WORDS}{_LINK}(?:letter |lettre |letra |lettera |option |opción |opção |opzione"
            rf" )?{_CAPITAL}(?:{_ENDS}|{_CHINESE_ENDS})"
        ),
        # "Doğru cevap B'dir."
        rf"{_ANSWER}{_SOME_WORDS}{_LINK}{_OPENING}((?-i:[A-Z]))(?=[’'][dt][ıiuü]r\b)",
        # "La opción B es correcta."
        rf"\b(?:alternativa|opción|opção|opzione|optie)[ \t]+{_CAPITAL}(?![ \t]+{_NEGATED})",
        # "Ans: b", "Ans. B"
        rf"\bans\b[ \t]*[.:=]?[ \t]*{_LETTER}{_NO_WORD}",
        # "Therefore, B is correct."
        rf"(?:[,:;.!?\n][ \t]*|\b(?:so|thus|hence|therefore|that)[ \t]+){_CAPITAL}{_IS}[ \t]+(?:the[ \t]+)?(?:most["
        r" \t]+)?"
        r"(?:correct|right|best|answer)\b",
        # "So B.", "Probably B."
        rf"\b(?:so|thus|hence|therefore)[ \t]*[,:]?[ \t]+{_CAPITAL}{_ENDS}",
        rf"\A\W*(?:{_SURELY})[ \t]*[,:]?[ \t]+(?:option[ \t]+)?{_CAPITAL}{_ENDS}",
        # "My pick is B", "Correct: B"
        rf"\b(?:ans|pick|selection|guess|correct|best)(?:[ \t]+one)?(?:{_IS}|[ \t]*[:=])[ \t]*{_CAPITAL}{_ENDS}",
        rf"(?<![不非别別])(?<!不是){_CHINESE}{_CAPITAL}(?:{_ENDS}|(?=[ \t]*[^\w\s]|[ \t]+[^\W\d_a-z]))",
        rf"\A\s*{_CAPITAL}{_CHINESE_ENDS}",
        # "It's B.", "I choose B."
        rf"\b(?:it(?:[’']s|{_IS})|{_CHOOSING})[ \t]+{_CAPITAL}{_ENDS}",
        # "I believe B"
        (
            rf"\bI[ \t]+(?:believe|think|guess|vote[ \t]+for)(?:[ \t]+that)?(?:[ \t]+it(?:[’']s|{_IS}))?["
            rf" \t]+{_CAPITAL}{_ENDS}"
        ),
        r"\(((?-i:[A-Z]))\)",
        # "Based on the picture, B.", and a final line or sentence with only a letter.
        rf"(?:[,:;.!?][ \t]+|(?<=[{_SIGN}])[,:;.!?]|\n\s*){_CAPITAL}[)\].!\"”’']*\s*\Z",
    )
]
_MARKUP = re.compile(r"[*`$#]+|(?<![^\W_])_+(?=[A-Za-z]\b|[A-Za-z]_)|(?<=[A-Za-z])_+(?![^\W_])|\\[()\[\]]")
_FRAMED = re.compile(r"\A\s*[{<]\s*([A-Z])\s*[}>]\W*\Z")
_ARROW = re.compile(r"[-=]+>|[→⇒➜➡]")
# Bullets and decorations at the start of a line, including emoji.
_BULLET = re.compile(r"\A(?:[\s\-–—•·▪●>:]|[\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])+(?=\S)")
_STOPS = str.maketrans(
    {"。": ".", "、": ",", **dict.fromkeys("【「『《〈〔", "("), **dict.fromkeys("】」』》〉〕", ")")}
)
_BETWEEN_SCRIPTS = re.compile(rf"(?<=[{_SIGN}])(?=[A-Za-z])|(?<=[A-Za-z])(?=[{_SIGN}])")
_ANOTHER = re.compile(
    rf"[)\]*\"”’']*[ \t]*(?:[,/&][ \t]*)?(?:(?:and|or)[ \t]+)?(?:option[ \t]+)?{_CAPITAL}"
    r"(?=[)\],/&;.*\"”\n]|\s*\Z|[ \t]+(?:and|or|are)\b)",
    re.IGNORECASE,
)


def rotated(options: Sequence[str], rotation: int) -> list[str]:
    """The options, with the first ``rotation`` of them moved to the end."""
    return [*options[rotation:], *options[:rotation]]


def choice_question(question: str, options: Sequence[str]) -> str:
    """The question followed by its lettered options, one per line."""
    lines = [f"{letter}. {option}" for letter, option in zip(ascii_uppercase, options, strict=False)]
    return "\n".join([question, *lines, _INSTRUCTION])


def chosen_option(answer: str, options: Sequence[str]) -> str | None:
    """The option that an answer chooses, by its letter or by containing the words of only one
    option; None if it chooses none.

    A letter counts at the start of the answer if it stands alone, where the answer states that it is the answer, option
    or choice (in English and the languages of MMBench and its translations), in brackets, and alone at the end. A and I
    before another word are words. Two different letters choose none. Among words, those directly after a negation do
    not count, nor do articles and possessives at the start of an option.
    """
    answer = final_answer(answer)
    letters = _letters(answer, len(options))
    if letters:
        return options[ascii_uppercase.index(letters.pop())] if len(letters) == 1 else None
    return _named(answer, options)


def _letters(answer: str, count: int) -> set[str]:
    """The letters (among the first ``count``) that an answer names, by the clearest pattern that matches."""
    offered, answer = ascii_uppercase[:count], _plain(answer)
    for reading in _READINGS:
        found = list(reading.finditer(answer))
        listed = [_ANOTHER.match(answer, match.end(1)) for match in found]
        letters = {match[1].upper() for match in (*found, *listed) if match is not None}
        if letters & set(offered):
            return letters & set(offered)
    return set()


def _plain(answer: str) -> str:
    """An answer without bold or math markup, with Chinese punctuation as English and with spaces around letters."""
    plain = _FRAMED.sub(r"\1", _MARKUP.sub("", answer)).translate(_STOPS)
    plain = _BULLET.sub("", _ARROW.sub(":", plain))
    return _BETWEEN_SCRIPTS.sub(" ", plain)


def _named(answer: str, options: Sequence[str]) -> str | None:
    bare = [_DETERMINER.sub("", option) for option in options]
    # "His hat" and "her hat" would become equal.
    names = dict(zip(bare if len(set(bare)) == len(bare) else options, options, strict=True))
    found = {name: find_keyword(name, answer) for name in names}
    # "cat" also occurs in "cat tree": an option that occurs only as part of another does not count.
    meant = [
        option
        for name, option in names.items()
        if any(
            not any(_within(span, other) for others in found.values() for other in others)
            for span in find_affirmed(name, answer)
        )
    ]
    return meant[0] if len(meant) == 1 else None


def _within(span: tuple[int, int], other: tuple[int, int]) -> bool:
    return other[0] <= span[0] and span[1] <= other[1] and span != other
