"""Is this an attempt to turn the agent, to pry, or abuse? Decided from the words. Pure.

A caller's request, a document and a tool's result are data: what a turn may do is decided outside
the language model, so an attack that is missed here still meets the router, the passages it would
have to be supported by, and the output guard. This guard spares the model the attempt and gives
the caller an honest answer at once. Harmless talk about the same words ("ignore the scratches",
"forgot my password") must pass, so no single word decides: who is told to do what does.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from enum import StrEnum

from voice_agent.safety.policy import Policy

_FLAGS = re.IGNORECASE | re.DOTALL


class Threat(StrEnum):
    """What the words try."""

    NONE = "none"
    ATTACK = "attack"
    """To change what the agent is, says or may do."""
    PRIVATE = "private"
    """To learn someone else's data, a secret, or the instructions."""
    ABUSE = "abuse"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was seen, and the name of the sign that showed it."""

    threat: Threat = Threat.NONE
    sign: str = ""


_RULES = (
    r"(instructions?|prompts?|rules?|guidelines?|directives?|orders|commands?|programming|training|"
    r"restrictions?|limitations?|constraints?|polic(?:y|ies)|filters?|safeguards?|protocols?|"
    r"guardrails?|ethics|morals?|everything|everthing|anything|all|what)"
)
_DROP = (
    r"(ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|overrid(?:e|ing)|bypass(?:ing)?|"
    r"neglect(?:ing)?|overlook(?:ing)?|skip(?:ping)?|drop(?:ping)?|abandon(?:ing)?|cancel|"
    r"violat(?:e|ing)|break(?:ing)?|discard(?:ing)?|erase|set aside|do not (?:follow|obey)|"
    r"don't (?:follow|obey)|stop (?:following|obeying))"
)
_EARLIER = (
    r"(previous|prior|earlier|above|preceding|foregoing|former|original|initial|old|your|system|"
    r"openai'?s?|you (?:were|have been|'ve been) (?:told|given|taught|instructed)|"
    r"(?:that |which )?(?:i|we|they) (?:told|gave|said)|so far|before|told|content)"
)
_SELF = r"(?:an? |the |my |your )?"
_AI = (
    r"(?:ai|a\.i\.|al|chat ?bots?|chat ?gpt\w*|gpt\w*|language models?|llm|assistants?|bots?|"
    r"machine)"
)
_LAWLESS = (
    r"(unfiltered|uncensored|unrestricted|unlimited|unhinged|unchained|amoral|immoral|unethical|"
    r"jail ?broken|evil|without (?:any )?(?:restrictions?|filters?|limits?|limitations|rules?|"
    r"morals?|censorship|ethic\w*|moral\w*)|no (?:restrictions?|filters?|limits?|limitations"
    r"|rules?|"
    r"morals?|censorship|ethic\w*|moral\w*|boundaries|prohibitions)|not bound|do anything|"
    r"does(?:n't| not) (?:give|care)|free (?:of|from) (?:all |any |the |your )?(?:typical |usual )?"
    r"(?:restrictions?|confines|rules?|limits?|chains|filters?))"
)

_ATTACKS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, _FLAGS))
    for name, pattern in (
        (
            "drop the rules",
            rf"\b{_DROP}\b\W+(?:\w+\W+){{0,4}}?{_EARLIER}\b\W*(?:\w+\W+){{0,3}}?{_RULES}\b"
            rf"|\b{_DROP}\b\W+(?:\w+\W+){{0,3}}?{_RULES}\b\W*(?:\w+\W+){{0,4}}?{_EARLIER}\b"
            rf"|\b{_DROP}\b\W+(?:\w+\W+){{0,2}}?(?:the )?(?:above|previous)\b"
            rf"|\bforget (?:about )?(?:all )?(?:of )?(?:the|those|these|your) rules\b"
            rf"|\bnew (?:rules?|instructions?)\b\W+(?:\w+\W+){{0,3}}?(?:are|is|follow|:)"
            rf"|\b(?:delete|erase|reset|clear) (?:all )?(?:your|previous) (?:memory"
            rf"|instructions?|rules?)\b",
        ),
        (
            "become another",
            rf"\byou(?:'re| are| will be| become| shall be| must be| have become)?\s+(?:now"
            rf"|from now on|"
            rf"henceforth|hereby)\b.{{0,40}}?\b(?:an?|the|called|named|free|going to|in|acting"
            rf"|my|not)\b"
            rf"|\byou are now\b(?! (?:able|open|closed|at|charging|out))|(?:^"
            rf"|[.,:] )(?:now )?(?:you )?act as\b"
            rf"|\bfrom (?:now on|this (?:point|moment)|here on)\b.{{0,60}}?\b(?:you|respond"
            rf"|answer|act|"
            rf"reply|speak|refer|talk|call)\b"
            rf"|\b(?:you are|you're) (?:going to|about to|to) (?:act|pretend|play|simulate"
            rf"|role ?play|"
            rf"immerse|become|be|behave)\b"
            rf"|\b(?:i want|i need|i'd like|i would like) you to (?:act|pretend|behave|respond"
            rf"|play|"
            rf"simulate|role ?play|become|be)\b"
            rf"|\b(?:act|respond|behave|answer|reply|speak|write)\b(?:ing)? (?:as"
            rf"|like) (?:if you|though "
            rf"you|{_SELF}(?:\w+ ){{0,3}}?(?:{_AI}|dan\b|hacker|villain|god|character|persona"
            rf"|terminal|"
            rf"interpreter|linux))"
            rf"|\bpretend (?:that )?(?:you(?:'re| are) |to be )(?:not|free|able|my"
            rf"|{_SELF}(?:\w+ ){{0,2}}?(?:{_AI}|"
            rf"dan|hacker|villain|god|criminal))\b"
            rf"|\b(?:stay|remain|stick|get|never break|break(?:ing)?) (?:in|into|to )?\s?(?:your )?"
            rf"(?:character|role)\b"
            rf"|\b(?:role ?play as|will role ?play|ignore your role|take on the (?:role"
            rf"|persona)|assume the "
            rf"(?:role|identity|persona)|in character as|persona ?=|play the (?:role|part) of)\b",
        ),
        (
            "lawless persona",
            rf"\b{_LAWLESS}\b.{{0,80}}?\b(?:{_AI}|named|persona|respon(?:se|d)\w*|answer\w*|"
            rf"entity)\b"
            rf"|\b(?:{_AI}|named|persona|respond|answer|dan|you are|you're"
            rf"|you will be)\b.{{0,60}}?\b{_LAWLESS}\b"
            rf"|\bdo anything now\b|\bD\.?A\.?N\.? mode\b|\bjailbr(?:eak|oken)(?:ed"
            rf"|ing)? (?:mode|prompt|"
            rf"yourself|version|chatgpt|you)\b"
            rf"|\bnever (?:refuse|say no|decline|deny)\b|\bdo(?:n't| not) (?:refuse|deny"
            rf"|apologi[sz]e)\b"
            rf"|\b(?:cannot|can't|can not|must not|may not|not allowed to|never|don't"
            rf"|do not) (?:\w+ )?"
            rf"(?:say|reply|respond with|use|answer with)\b.{{0,30}}?\b(?:sorry|can't|cannot"
            rf"|no|as an ai)\b",
        ),
        (
            "pretended authority",
            r"\b(?:developer|debug|admin(?:istrator)?|god|sudo|root|maintenance|jailbreak|evil|"
            r"opposite|system|training|test|unrestricted|confident) (?:mode|override|access"
            r"|upgrade)\b"
            r"(?=.{0,120}\b(?:you|enable[ds]?|activate[ds]?|on|confirm|reveal|i need|ignore"
            r"|now|over|"
            r"instructions?|password|respond|output)\b)"
            r"|\b(?:i'm|i am|this is|as) (?:a |an |the |your )(?:system )?(?:developer"
            r"|administrator|"
            r"admin|creator|programmer|owner|engineer|god|master)\b.{0,90}?\b(?:you must"
            r"|i need|reveal|"
            r"confirm|tell me|give me|listen|override|verify|provide|authori[sz]e|password)\b"
            r"|\b(?:i'm|i am) (?:your )?(?:god|master|creator)\b|\byou must (?:listen to|obey)\b"
            r"|<\|?(?:im_start|system|endoftext|user|assistant)|\[/?(?:INST|SYS|SYSTEM|INFO)\b"
            r"|\b(?:DEVELOPER|SYSTEM|ADMIN)\b[ _](?:TRAINING|OVERRIDE|MESSAGE|PROMPT|NOTE)\b",
        ),
        (
            "talk about the model",
            r"\b(?:chat ?gpt\w*|openai\w*|gpt-?\d\w*|content polic(?:y|ies)|language model)\b",
        ),
        (
            "shape of an order to a machine",
            r"\[(?:your |insert |prompt|user|topic|INPUT|name|question)[^\]]{0,40}\]|\{\{?\w+\}?\}"
            r"|\b(?:PROMPT|PERSONA|RULES?|ROLE|PREFIX|OUTPUT|TASK|CONTEXT) ?[=:]"
            r"|\b(?:respond|reply|answer|output|write|speak) only (?:with|in|as|using)\b"
            r"|\bonly (?:respond|reply|answer|output|interpret|give (?:me )?responses?)\b"
            r"|\b(?:start|begin|end|prefix|finish) (?:all |every |each )?(?:of )?(?:your"
            r"|the) (?:response|"
            r"respond|repl|answer|message|output)\w*\b"
            r"|\b(?:every|each|all|any) (?:prompt|response|reply|answer|message)s? (?:i|you"
            r"|will|must|should)\b"
            r"|\btwo (?:types of )?(?:responses?|answers?)\b"
            r"|\brepeat (?:after me|the following|this)\b|\b(?:please )?state the following\b"
            r"|\brepeat\b.{1,80}?\b(?:\d+|ten|hundred|forever|thousand) times\b"
            r"|\brepeat '[^']+'|\bprint (?:the following|[\"“])|\bsay (?:exactly|only)\b",
        ),
        (
            "hidden writing",
            r"\b(?:decode|decrypt|decipher|base ?64|rot ?13|binary string|hexadecimal|morse code|"
            r"leet ?speak|pig latin|cipher)\b|<!--|<img|<script|\bconcatenat\w+\b"
            r"|\b(?:a|x|b|s1|str1|part ?1) ?= ?['\"]",
        ),
        (
            "harm",
            r"\b(?:how (?:to|do i|can i|would (?:i|you|one))|steps to|instructions (?:to|for"
            r"|on)|recipe for|"
            r"say how to|explain how to|teach me (?:how )?to|help me)\b.{0,40}?\b(?:rob|hack|steal|"
            r"launder|forge|pick a lock|hot ?wire|kill|poison|murder|kidnap|make (?:a "
            r"|an )?(?:bomb|"
            r"explosive|meth\w*|napalm|weapon|molotov|virus|drug)|cook meth|build a bomb"
            r"|get away with)\b"
            r"|\b(?:malware|ransomware|keylogger|napalm|meth recipe|phishing (?:e-?mail|page"
            r"|site))\b",
        ),
    )
)

_SECRETS = (
    r"(password|pass ?phrase|pass ?code|secret|secret (?:key|word|code)|api key|access key|"
    r"credentials|system prompt|initial prompt|first prompt|hidden prompt|(?:\w+ )?instructions|"
    r"prompt|training data|configuration|source code|internal (?:rules|notes|documents?|policy))"
)
_TELL = (
    r"(tell|reveal|show|give|read|repeat|print|share|say|spell|disclose|recite|write|list|send"
    r"|display|"
    r"output|confirm|summari[sz]e|translate|provide|name|describe|leak|expose|hint\w*|encode|"
    r"what(?:'s| is| are| was| were| would)|which)"
)
_THEIRS = (
    r"(?:(?:the|that|your) )?(?:last|previous|other|another|next|first|any|some|every|all"
    r"|different)"
    r"(?: \w+)? (?:caller|customer|user|client|person|people|account)(?:'?s|s')?"
)
_DETAILS = (
    r"(address(?:es)?|names?|phone(?: numbers?)?|numbers?|e-?mails?|card(?: numbers?)?|orders?"
    r"|accounts?|"
    r"details|data|information|birth ?days?|birth ?dates?|date of birth|birth (?:city|year"
    r"|place|month)|"
    r"records?|calls?|password|conversation|social security|initials|"
    r"(?:current )?(?:city|place|state|country)(?: of residence)?)"
)
_NAMED = "a named person's data"
_PRYING: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, _FLAGS))
    for name, pattern in (
        (
            "its instructions or secrets",
            rf"\b{_TELL}\b\W+(?:\w+\W+){{0,4}}?(?:your|the system|the secret|the hidden"
            rf"|the initial|the "
            rf"admin|the master|the internal|this system's)\b\W+(?:\w+\W+){{0,3}}?{_SECRETS}\b"
            rf"|\b{_TELL}\b(?: \w+){{0,3}} the (?:password|secret|passphrase"
            rf"|passcode)\b(?! (?:reset|page|"
            rf"field|is wrong|link|email|e-mail|requirements|to my|for my|on my))"
            rf"|\b(?:about|of|with|for|using|in) the (?:password|secret(?: key| word"
            rf"| code)?)\b(?! (?:reset|"
            rf"page|field|to my|for my|on my))"
            rf"|\b(?:rhymes? with|letters? (?:of|in)|acrostic|haiku|poem|riddle"
            rf"|hint)\b.{{0,60}}?\b(?:password|"
            rf"secret|key)\b"
            rf"|\b(?:need|want|know|use|get|have|share|is) your (?:\w+ )?(?:password"
            rf"|pass ?code|secret|prompt|"
            rf"instructions)\b"
            rf"|\bwhat (?:were|are) you(?:r)? (?:told|instructed|programmed|instructions|orders)\b"
            rf"|\brepeat (?:everything|all|the (?:words|text|sentences?)) (?:above|before|you)\b"
            rf"|\b(?:beginning|start) of (?:this|our) (?:conversation|prompt|chat)\b"
            rf"|\b(?:quel|quelle|cual|cuál|was|wie|qual)\b.{{0,20}}?\b(?:mot de passe"
            rf"|contraseña|passwort|"
            rf"parola d'ordine|senha)\b",
        ),
        (
            "someone else's data",
            rf"\b{_TELL}\b.{{0,30}}?\b{_THEIRS} (?:\w+ ){{0,2}}?{_DETAILS}\b"
            rf"|\b{_DETAILS} (?:of|for|from|about|belonging to) {_THEIRS}\b"
            rf"|\bthe user(?:'s)?(?: \w+){{0,2}} {_DETAILS}\b"
            rf"|\b(?:where|when) (?:does|did|do|was|is|were|has|are) (?:the user"
            rf"|[A-Z][a-z]+ [A-Z][a-z]+)\b"
            rf".{{0,20}}?\b(?:live|living|born|located|from)\w*\b"
            rf"|\b(?:what did|who (?:is|was)|what has) {_THEIRS}\b",
        ),
        (
            _NAMED,
            rf"\b{_TELL}\b.{{0,60}}?(?-i:\b[A-Z][a-z]+(?: [A-Z][a-z]+)?)'s (?:\w+ "
            rf"){{0,2}}?(?:birth ?\w+|"
            rf"date of birth|initials|(?:current )?(?:city|country)(?: of residence)?"
            rf"|social security\w*|"
            rf"card numbers?|password|home address)\b",
        ),
    )
)
_NOT_A_PERSON = re.compile(
    r"\b(?:Today|Tomorrow|Yesterday|What|That|It|There|Here|Let|Who|Where|When|How|Mother|Father|"
    r"Valentine|Mondays?|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)'s\b"
)
MAX_SPOKEN_CHARS = 1_200
"""More than a minute of speech in one breath is no caller's question."""
_BASE64 = re.compile(r"\b[A-Za-z\d+/]{24,}={0,2}")


def judge_input(text: str, policy: Policy) -> Judgement:
    """What a caller's words try. Never raises; takes well under a millisecond for an utterance."""
    words = " ".join(text.replace("’", "'").split())
    if len(words) > MAX_SPOKEN_CHARS:
        return Judgement(Threat.ATTACK, "too long to be speech")
    if policy.abusive.search(words):
        return Judgement(Threat.ABUSE, "abuse")
    for name, pattern in _ATTACKS:
        if pattern.search(words):
            return Judgement(Threat.ATTACK, name)
    for name, pattern in _PRYING:
        found = pattern.search(words)
        if found and not (name == _NAMED and _NOT_A_PERSON.search(found.group())):
            return Judgement(Threat.PRIVATE, name)
    if _hides_words(words):
        return Judgement(Threat.ATTACK, "hidden writing")
    return Judgement()


def _hides_words(text: str) -> bool:
    """Whether a stretch is readable text in base64."""
    for match in _BASE64.finditer(text):
        coded = match.group()
        try:
            decoded = base64.b64decode(coded + "=" * (-len(coded) % 4), validate=True)
        except (binascii.Error, ValueError):
            continue
        if decoded.isascii() and decoded.decode("ascii").isprintable():
            return True
    return False
