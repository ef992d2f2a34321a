"""Forms of words by which attempts on the agent are known: who is told to do what. Pure data.

Each sign has several forms, as regular expressions read without regard to capitals. A form names
an order together with what it is about, because the words alone ("ignore", "password", "rules")
are what ordinary callers say as well.
"""

from __future__ import annotations

_GAP = r"\W+(?:\w+\W+)"
_RULES = (
    r"(?:instructions?|prompts?|rules?|guidelines?|directives?|orders|commands?|programming|"
    r"training|restrictions?|limitations?|constraints?|polic(?:y|ies)|filters?|safeguards?|"
    r"protocols?|guardrails?|ethics|morals?|everything|everthing|anything|all|what)"
)
_DROP = (
    r"(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|overrid(?:e|ing)|bypass(?:ing)?|"
    r"neglect(?:ing)?|overlook(?:ing)?|skip(?:ping)?|drop(?:ping)?|abandon(?:ing)?|cancel|"
    r"violat(?:e|ing)|break(?:ing)?|discard(?:ing)?|erase|set aside|"
    r"(?:do not|don't) (?:follow|obey)|stop (?:following|obeying))"
)
_EARLIER = (
    r"(?:previous|prior|earlier|above|preceding|foregoing|former|original|initial|old|your|system|"
    r"openai'?s?|you (?:were|have been|'ve been) (?:told|given|taught|instructed)|"
    r"(?:i|we|they) (?:told|gave|said)|so far|before|told|content)"
)
_AI = (
    r"(?:ai|a\.i\.|al|chat ?bots?|chat ?gpt\w*|gpt\w*|language models?|llm|assistants?|bots?|"
    r"machine)"
)
_LIMITS = (
    r"(?:restrictions?|filters?|limits?|limitations|rules?|morals?|censorship|ethic\w*|moral\w*|"
    r"boundaries|prohibitions)"
)
_LAWLESS = (
    r"(?:unfiltered|uncensored|unrestricted|unlimited|unhinged|unchained|amoral|immoral|unethical|"
    rf"jail ?broken|evil|without (?:any )?{_LIMITS}|no {_LIMITS}|not bound|do anything|"
    r"does(?:n't| not) (?:give|care)|free (?:of|from) (?:all |any |the |your )?"
    r"(?:typical |usual )?(?:restrictions?|confines|rules?|limits?|chains|filters?))"
)
_PLAY = r"(?:act|pretend|play|simulate|role ?play|become|behave|immerse)"
_ROLE = rf"(?:{_AI}|dan|hacker|villain|god|character|persona|terminal|interpreter|linux|criminal)"

ATTACKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "drop the rules",
        (
            rf"\b{_DROP}\b{_GAP}{{0,4}}?{_EARLIER}\b\W*(?:\w+\W+){{0,3}}?{_RULES}\b",
            rf"\b{_DROP}\b{_GAP}{{0,3}}?{_RULES}\b\W*(?:\w+\W+){{0,4}}?{_EARLIER}\b",
            rf"\b{_DROP}\b{_GAP}{{0,2}}?(?:the )?(?:above|previous)\b",
            r"\bforget (?:about )?(?:all )?(?:of )?(?:the|those|these|your) rules\b",
            rf"\bnew (?:rules?|instructions?)\b{_GAP}{{0,3}}?(?:are|is|follow|:)",
            r"\b(?:delete|erase|reset|clear) (?:all )?(?:your|previous) (?:memory"
            r"|instructions?|rules?)\b",
        ),
    ),
    (
        "become another",
        (
            r"\byou(?:'re| are| will be| become| shall be| must be| have become)\s+(?:now"
            r"|henceforth|"
            r"hereby)\b.{0,40}?\b(?:an?|the|called|named|free|going to|in|acting|my|not)\b",
            r"\byou now (?:have no|are|must|obey|only|act|answer|respond)\b",
            r"\byou are now\b(?! (?:able|open|closed|at|charging|out|in|on))",
            r"(?:^|[.,:] )(?:now )?(?:you )?act as\b",
            r"\bfrom (?:now on|this (?:point|moment)|here on)\b.{0,60}?\b(?:you(?:'re|'ll)?"
            r"(?: (?:are|will|must|only|act|answer|respond|have|can|reply|speak|should|shall))"
            r"|respond|"
            r"act|reply|refer to me|talk like|answer as)\b",
            rf"\b(?:you are|you're) (?:going to|about to|to) {_PLAY}\b",
            rf"\b(?:i want|i need|i'd like|i would like) you to (?:{_PLAY}|be (?:an?|my)\b"
            rf"|respond (?:as|"
            r"like|only|with|to (?:all|every)))",
            r"\b(?:act|respond|behave|answer|reply|speak|write)(?:ing)? (?:as|like) (?:if you"
            r"|though you)\b",
            rf"\b(?:act|respond|behave|answer|reply|speak|write)(?:ing)? (?:as|like) (?:an? "
            rf"|the |my |your )?"
            rf"(?:\w+ ){{0,3}}?{_ROLE}\b",
            rf"\bpretend (?:that )?(?:you(?:'re| are) |to be )(?:not|free|able|my|(?:an? "
            rf"|the )?(?:\w+ )"
            rf"{{0,2}}?{_ROLE})\b",
            r"\b(?:stay|remain|stick|get|never break|break(?:ing)?) (?:in |into |to )?(?:your )?"
            r"(?:character|role)\b",
            r"\b(?:(?:will )?role ?play as|ignore your role|take on the (?:role|persona)"
            r"|in character as|"
            r"assume the (?:role|identity|persona)|persona ?=|play the (?:role|part) of)\b",
        ),
    ),
    (
        "lawless persona",
        (
            rf"\b{_LAWLESS}\b.{{0,80}}?\b(?:{_AI}|named|persona|respon(?:se|d)\w*|answer\w*"
            rf"|entity)\b",
            rf"\b(?:{_AI}|named|persona|respond|answer|dan|you are|you're|you will be)\b.{{0,60}}?"
            rf"\b{_LAWLESS}\b",
            r"\bdo anything now\b|\bD\.?A\.?N\.? mode\b",
            r"\bjailbr(?:eak|oken)(?:ed|ing)? (?:mode|prompt|yourself|version|chatgpt|you)\b",
            r"\bnever (?:refuse|say no|decline|deny)\b|\bdo(?:n't| not) (?:refuse|deny"
            r"|apologi[sz]e)\b",
            r"\b(?:cannot|can't|can not|must not|may not|not allowed to|never|don't"
            r"|do not) (?:\w+ )?"
            r"(?:say|reply|respond with|use|answer with)\b.{0,30}?\b(?:sorry|can't|cannot|no"
            r"|as an ai)\b",
        ),
    ),
    (
        "pretended authority",
        (
            r"\b(?:developer|debug|admin(?:istrator)?|god|sudo|root|maintenance|jailbreak|evil"
            r"|opposite|"
            r"unrestricted) (?:mode|override|access|upgrade)\b(?=.{0,120}\b(?:you|enable[ds]?"
            r"|confirm|"
            r"activate[ds]?|on|reveal|i need|ignore|now|over|instructions?|password|respond"
            r"|output)\b)",
            r"\bsystem (?:mode|override|upgrade)\b.{0,80}?\b(?:you|confirm|reveal|password"
            r"|instructions?)\b",
            r"\b(?:i'm|i am|this is|as) (?:a |an |the |your )(?:system )?(?:developer"
            r"|administrator|admin|"
            r"creator|programmer|god|master)\b.{0,90}?\b(?:you must|i need|reveal|confirm|tell me|"
            r"give me|listen|override|verify|provide|authori[sz]e|password)\b",
            r"\b(?:i'm|i am) (?:your )?(?:god|master|creator)\b|\byou must (?:listen to|obey)\b",
            r"<\|?(?:im_start|system|endoftext|user|assistant)|\[/?(?:INST|SYS|SYSTEM|INFO)\b",
            r"(?-i:\b(?:DEVELOPER|SYSTEM|ADMIN)\b[ _](?:TRAINING|OVERRIDE|MESSAGE|PROMPT|NOTE))\b",
        ),
    ),
    (
        "talk about the model",
        (
            r"^(?=.{150}).*?\b(?:chat ?gpt\w*|openai\w*|gpt-?\d\w*|language model)\b",
            r"\bcontent polic(?:y|ies)\b",
        ),
    ),
    (
        "shape of an order to a machine",
        (
            r"\[(?:your |insert |prompt|user|topic|INPUT|name|question)[^\]]{0,40}\]|\{\{?\w+\}?\}",
            r"\b(?:PROMPT|PERSONA|RULES?|ROLE|PREFIX|OUTPUT|TASK|CONTEXT) ?[=:]",
            r"\b(?:respond|reply|answer|output|write|speak) only (?:with|in|as|using)\b",
            r"(?:^|[.,;:] ?|\b(?:will|must|should|to|please|you) )only (?:respond|reply|output"
            r"|interpret|"
            r"give (?:me )?responses?)\b",
            r"\b(?:start|begin|end|prefix|finish) (?:all |every |each )?(?:of )?(?:your|the) "
            r"(?:response|respond|repl|answer|output)\w*\b",
            r"\b(?:every|each|all|any) (?:prompt|response|answer)s? (?:i|you|will|must|should)\b",
            r"\btwo (?:types of )?(?:responses?|answers?)\b",
            r"\brepeat (?:after me|the following)\b|\b(?:please )?state the following\b",
            r"\brepeat\b.{1,80}?\b(?:\d+|ten|hundred|forever|thousand) times\b|\brepeat '[^']+'",
            r"\bprint (?:the following|[\"“])|\bsay exactly\b",
        ),
    ),
    (
        "hidden writing",
        (
            r"\b(?:decode|decrypt|decipher|base ?64|rot ?13|binary string|hexadecimal|morse code|"
            r"leet ?speak|pig latin|cipher)\b",
            r"<!--|<img|<script|\bconcatenat\w+\b|\b(?:a|x|b|s1|str1|part ?1) ?= ?['\"]",
        ),
    ),
    (
        "harm",
        (
            r"\b(?:how (?:to|do i|can i|would (?:i|you|one))|steps to|instructions (?:to|for|on)|"
            r"recipe for|(?:say|explain|teach me) how to)\b.{0,40}?\b(?:rob|hack|steal|launder"
            r"|hot ?wire|"
            r"(?:kill|poison|murder|kidnap) (?:\w+ )?(?:someone|somebody|people|person|him|her"
            r"|them|my)|"
            r"make (?:a |an )?(?:bomb|explosive|meth\w*|napalm|weapon|molotov|virus|drug)"
            r"|cook meth|"
            r"build a bomb|get away with)\b",
            r"\b(?:malware|ransomware|keylogger|napalm|meth recipe|phishing (?:e-?mail|page"
            r"|site))\b",
        ),
    ),
)

_SECRETS = (
    r"(?:password|pass ?phrase|pass ?code|secret|api key|access key|credentials|"
    r"(?:system|initial|first|hidden) prompt|prompt|training data|source code|"
    r"internal (?:rules|notes|documents?|policy))"
)
_TELL = (
    r"(?:tell|reveal|show|give|read|repeat|print|share|say|spell|disclose|recite|write|list|send|"
    r"display|output|confirm|summari[sz]e|translate|provide|name|describe|leak|expose|hint\w*"
    r"|encode|"
    r"what(?:'s| is| are| was| were| would)|which)"
)
_INSTRUCTIONS = (
    r"(?:your (?:system |initial |hidden |secret |original |internal |exact |own )?|"
    r"the (?:system|initial|hidden|secret) )(?:instructions|prompt)\b"
    r"(?! (?:for|on|to|about|in|with|regarding))"
)
_PEOPLE = r"(?:caller|customer|user|client)(?:'?s|s')?"
_THEIRS = (
    r"(?:(?:the|that|your) )?(?:(?:last|previous|other|another|next|first|any|some|every|all|"
    r"different|random)(?: \w+)? (?:caller|customer|user|client|person|people)(?:'?s|s')?|"
    r"(?:another|someone else's|somebody else's) account)"
)
_DETAILS = (
    r"(?:address(?:es)?|names?|phone(?: numbers?)?|numbers?|e-?mails?|card(?: numbers?)?|orders?|"
    r"accounts?|details|data|information|birth ?(?:days?|dates?)|date of birth|"
    r"birth (?:city|year|place|month)|records?|calls?|password|conversation|social security"
    r"|initials|"
    r"(?:current )?(?:city|place|state|country)(?: of residence)?)"
)
_NOT_ABOUT = r"(?! (?:reset|page|field|is wrong|link|email|e-mail|requirements|(?:to|for|on) my))"
_NAME = r"(?-i:[A-Z][a-z]+(?: [A-Z][a-z]+)?)"

PRYING: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "its instructions or secrets",
        (
            rf"\b{_TELL}\b{_GAP}{{0,4}}?(?:your|the system|the secret|the hidden|the initial"
            rf"|the admin|"
            rf"the master|the internal|this system's)\b{_GAP}{{0,3}}?{_SECRETS}\b",
            rf"\b{_TELL}\b{_GAP}{{0,4}}?{_INSTRUCTIONS}",
            rf"\b{_TELL}\b(?: \w+){{0,3}} the (?:password|secret|passphrase"
            rf"|passcode)\b{_NOT_ABOUT}",
            rf"\b(?:about|of) the (?:password|secret(?: key| word| code)?)\b{_NOT_ABOUT}",
            r"\b(?:rhymes? with|letters? (?:of|in)|acrostic|haiku|poem|riddle"
            r"|hint)\b.{0,60}?\b(?:password|"
            r"secret|key)\b",
            r"\b(?:need|want|know|use|get|have|share|is) your (?:\w+ )?(?:password|pass ?code"
            r"|secret|prompt)\b",
            r"\bwhat (?:were|are) you(?:r)? (?:told|instructed|programmed|instructions|orders)\b",
            r"\brepeat (?:everything|all|the (?:words|text|sentences?)) (?:above|before|you)\b",
            r"\b(?:beginning|start) of (?:this|our) (?:conversation|prompt|chat)\b",
            r"\b(?:quel|quelle|cual|cuál|was|wie|qual)\b.{0,20}?\b(?:mot de passe|contraseña"
            r"|passwort|"
            r"parola d'ordine|senha)\b",
        ),
    ),
    (
        "someone else's data",
        (
            rf"\b{_TELL}\b.{{0,30}}?\b{_THEIRS} (?:\w+ ){{0,2}}?{_DETAILS}\b",
            rf"\b{_DETAILS} (?:of|for|from|about|belonging to) {_THEIRS}\b",
            rf"\bthe user(?:'s)?(?: \w+){{0,2}} {_DETAILS}\b",
            rf"\b(?:where|when) (?:does|did|do|was|is|were|has) (?:the user|{_NAME})\b.{{0,20}}?"
            r"\b(?:live|living|born)\b",
            rf"\b(?:what did|who (?:is|was)|what has) (?:the |your )?(?:last|previous|other"
            rf"|next) {_PEOPLE}\b",
            rf"\b{_TELL}\b.{{0,60}}?\b(?!(?:What|That|It|There|Who|Where|Today"
            rf"|Let)'s){_NAME}'s (?:\w+ )"
            r"{0,2}?(?:birth ?\w+|date of birth|initials|(?:current )?(?:city"
            r"|country)(?: of residence)?|"
            r"social security\w*|card numbers?|password|home address)\b",
        ),
    ),
)
