"""Error rules: which error the text and the status of a provider's refusal mean, as a table in order.

The status alone misleads: providers send 413 for a rate limit, 403 for a context overflow, 429 for an empty balance. So the
text is matched first, in the order of `_RULES`, and the status decides where no rule matches. `translate.py` applies them.
"""

import re
from collections.abc import Sequence

from hfchat import errors as e

# Written as `@name` in the rules.
_NAMED = {
    "few": r"(?: \S+){0,3}?",
    "some": r"(?: \S+){0,7}?",
    "money": r"(?:credits?|balance|funds?|spend(?:ing)? (?:limits?|caps?))\b",
    "of_money": r"(?: (?:all|any|your|the|its|of|account|monthly|included|free|trial|inference|remaining|pre ?paid"
    r"|usage|api|available|current|maximum|allowed|user|organi[sz]ation|team|providers?)){0,8}",
    "model": r"(?:model|llm)",
    "takes": r"(?:support|accept|take|allow|handle|process|read|understand)\w*",
    "parts": r"(?:images?|vision|visual|audio|videos?|multi ?modal\w*|files?|pdfs?|documents?|attachments?|modalit\w+"
    r"|tools?|functions?|json (?:mode|schema|object|format|output)|structured|response format|grammar"
    r"|(?:system|developer) (?:roles?|messages?|prompts?|instructions?))\b",
    "key": r"(?:user ?name|credentials?|(?:access|bearer|user|hf|auth\w*) token|api ?keys?|authenti\w+"
    r"|authorization)\b",
    "bad": r"(?:expired|revoked|invalid|malformed|incorrect|wrong|missing|required|disabled|deleted|inactive"
    r"|not (?:valid|found|recogni[sz]ed|active))\b",
    "gone": r"(?:no longer|decommissioned|deprecated|retired|discontinued|removed|sunset|shut down)\b",
}
# Bounds of repetition: no word of a rule is longer; between two of them may be an id or a link.
_BOUNDED = {r"\w*": r"\w{0,20}", r"\w+": r"\w{1,20}", r"\S+": r"\S{1,100}"}


def _rule(
    error: type[e.HfchatError], statuses: str, words: str
) -> tuple[type[e.HfchatError], re.Pattern[str], re.Pattern[str]]:
    words = re.sub(r"@(\w+)", lambda name: _NAMED[name[1]], words)
    # Unbounded, a long word would cost quadratic time.
    for unbounded, bounded in _BOUNDED.items():
        words = words.replace(unbounded, bounded)
    return error, re.compile(statuses or "..."), re.compile(words)


# The first rule wins whose status matches in full and whose words occur in the text as `failure_text.plain` writes it.
_RULES = (
    _rule(e.EndpointRetired, "[34]..|501",
        r"api inference\.huggingface\.co|use https?://router\.huggingface|can not (?:post|get|put) /"
        r"|(?<!model )\b(?:endpoint|api|url|route|host|version)@some (?<!model )@gone(?![^\n]{0,300}\bmodel)"),
    _rule(e.UpstreamRateLimited, "",
        r"error (?:code:? )?1015\b"),
    _rule(e.UpstreamUnavailable, "403",
        r"error (?:code:? )?1\d{3}\b|cloudflare|cloudfront|akamai|attention required|just a moment|captcha"
        r"|request blocked"),
    _rule(e.CreditsExhausted, "",
        r"\b(?:insufficient|not enough|no|no more|out of|low|negative|lack\w*|deplet\w+|exhaust\w+|exceed\w*|used"
        r"|used up|consum\w+|reach\w*|over|hit|spent)@of_money @money|\b@money@few (?:insufficient|(?:too )?low"
        r"|exhausted|depleted|used up|spent|not (?:enough|sufficient)|negative|zero|exceeded|reached|run out|empty"
        r"|hit)\b|insufficient (?:user |account )?quota|\bfree (?:tier |trial )?(?:quota|allocation|tier|allowance"
        r"|plan)\b@some (?:exhausted|used up|exceeded|reached)|payment required"
        r"|monthly (?:(?:usage|inference) )?(?:limit|quota|allowance)|billing (?:details|hard limit|issue|account)"
        r"|billing (?:is )?not|arrear\w+|in good standing|\bkey limit exceeded|past (?:due|invoices)|overdue|unpaid"
        r"|budget has been exceeded"
        r"|no resource package|subscribe to pro|pro subscription|pre ?paid credits|included (?:credits|usage)"
        r"|(?:buy|purchase) (?:more )?credits|余额不足|欠费|only afford|requires? more credits"
        r"|payment method (?:is )?(?:required|missing)"),
    _rule(e.UpstreamOverloaded, "200|408|409|424|429|498|5..",
        r"overload|queue@few (?:full|exceeded)|capacity@few (?:exceeded|exhausted|reached)|\bbusy\b|\b(?:over|at|no"
        r"|insufficient|out of|beyond|not enough|exceed\w*)(?: (?:the|its|our|max\w*|full|available))* capacity"
        r"|(?:high|heavy|peak|increased|excessive)@few (?:traffic|demand|load|volume)|concurrency limit"
        r"|too many (?:requests )?(?:concurrent|pending|queued|waiting|in (?:the )?queue|in flight)"
        r"|processing too many|\bno (?:\S+ ){0,2}(?:slots?|workers?|replicas?|gpus?)\b"),
    _rule(e.UpstreamRateLimited, "200|400|403|413|429|5..",
        r"rate ?limit|request rate|request quota|too many (?:\S+ )?requests|throttl|slow down|too (?:frequent|often)"
        r"|(?:requests?|tokens?|calls?) ?(?:per|/|every) ?(?:\d+ )?(?:sec|min|hour|day|month|\d)|\b[rt]p[mds]\b"),
    _rule(e.UpstreamTimeout, "200|408|424|5..",
        r"time[ds]? ?out|deadline|took too long|too long to respond|time limit"),
    _rule(e.UpstreamInvalidResponse, "400|422|424|5..",  # the model wrote what its server cannot read
        r"tool use failed|failed to call a function|failed generation|tool call validation failed|json validate failed"
        r"|malformed (?:function|tool) ?call|(?:fail\w*|error|unable|could not|can not)(?: to)?@few (?:pars|generat"
        r"|decod|extract|produc)"
        r"\w*@few (?:tool|function|fc) ?(?:calls?|call arguments|related)\b"
        r"|(?:fail\w*|unable|could not|can not)(?: to)? (?:generate|produce|validate) (?:\S+ ){0,2}?json\b"
        r"|\b(?:tool|function) ?call (?:arguments? )?pars\w+ (?:error|fail\w*)"
        r"|failed to parse input at pos|attempted to call tool|tool call(?: \S+){0,2} generated by the model"
        r"|unknown (?:tool|function)@some called by the model|invalid tool call (?:generated|produced|from|by)\b"
        r"|\bmodel (?:response|output|tool call)(?: \S+){0,3} not (?:match|conform|valid|be parsed|pars\w*)"
        r"|\bmodel generated output@few not be parsed"
        r"|\b@model (?:\S+ )?(?:generated|produced|wrote|returned|output"
        r"|emitted)(?! an? error)(?:(?: \S+){0,5}? (?:invalid|malformed|broken|unpars\w*|incorrect"
        r"|incomplete)\b|(?: \S+){0,3}? (?:tool|function) ?(?:call|name)?\b(?: \S+){0,5}? not\b)|\b@model (?:\S+ )?(?:not"
        r"|failed to) (?:call|generate|produce|output|return"
        r"|emit)@few (?:tools?|functions?"
        r"|(?:valid|pars\w*) (?:json|output|response))\b"),
    _rule(e.UpstreamRejected, "200|400|413|422|500",  # a limit of the reply's length alone, which a shorter prompt does not help
        r"\A(?![\s\S]{0,4000}\b(?:inputs?(?! (?:validation|should|error))|prompts?|messages?|conversation|history"
        r"|sequence|total"
        r"|(?<!less than the )context)\b)[\s\S]{0,4000}?\bmax(?:imum)?(?: number of)? ?(?:completion |new |output "
        r"|generated )?tokens\b"
        r"|\A(?![\s\S]{0,4000}\b(?:inputs?|prompts?|messages?|context)\b)[\s\S]{0,4000}?\b(?:completion|output"
        r"|generated) tokens"),
    _rule(e.ContextLengthExceeded, "200|400|403|413|422|424|500",
        r"context (?:length|window|size|limit|overflow)|input length should be|maximum (?:\S+ ){0,3}?(?:length|tokens)\b"
        r"|string above max length|max (?:model|total|seq\w*|input|context|prompt|position) ?(?:len|length|tokens)\b"
        r"|max length\b|token limit|(?:less|fewer) than (?:\d+ )?tokens|\b(?:prompt|inputs?|messages?|conversation"
        r"|sequence|text|history)(?: (?!images?|files?|audio)\S+){0,6}? (?:too (?:long|large|big)|longer than"
        r"|exceed\w*)(?!.{0,40}\b(?:rate|time|retr\w+|quota|images?)\b)"
        r"|\brequest@few (?:too (?:long|large|big)\b|exceed\w*(?=.{0,60}(?:tokens?|context|length|size)\b))"
        r"|tokens?\)?@some \(?(?:exceed\w*|less than|at most|longer than|larger than|too (?:many|large)|<=?"
        r"|> ?\d{3})|exceed\w*@some \(?(?:\d+ )?(?:tokens?|context|n ctx)\b|too many (?:\S+ ){0,2}tokens|\b(?:reduce"
        r"|shorten|trim|shorter|truncate|decrease|fewer)@some (?:prompt|inputs?|messages?|conversation|length"
        r"|context|history|tokens)\b"),
    _rule(e.UnsupportedInput, "200|4(?!01|02|29)..|50[01]",
        r"\b(?:not|no) (?:\S+ ){0,2}?(?:support|accept|handle|process|take|allow|understand)\w*@some @parts"
        r"|\b@parts@some (?:not (?:\S+ ){0,2}?(?:support|allow|accept|enabl|avail|permit|implement)\w*|unsupported"
        r"|disabled|only (?:\S+ ){0,3}?(?:support|avail|allow)\w*)"
        r"|\b(?:unsupported|invalid) (?:image|modality|input|file|audio|video)(?: \S+)? (?:type|format|modality|url)"
        r"|at most \d+ (?:image|audio|video|file)"
        r"|\b(?:only (?:\S+ )?@takes|@takes only|expected) text\b(?! ?(?:completion|generation))"
        r"|\bcontent\b@some (?:must|should|has to|needs to|expected to) be (?:(?:of|type|either|a|an|valid"
        r"|plain) ){0,4}"
        r"(?:strings?|text|str)\b(?!@some (?:null|none|undefined|empty))"
        r"|\bcontent\b@some (?:expect\w*|only)@few (?:string|text)\b|expected (?:a )?(?:string|text) for@few content\b"
        r"|invalid type sequence expected (?:a )?string"
        r"|unmarshal array (?:\S+ ){0,10}?of type string|expected content to be (?:a )?string|\bonly (?:string"
        r"|text)(?: \S+){0,5}? content\b|expected (?:a )?string@few (?:array|list)\b|unsupported content"
        r"|\b(?:array|list|multi ?part)(?: type)? content(?: \S+){0,2} (?:not (?:supported|allowed)|unsupported)"
        r"|can only concatenate str"
        r"|expect\w* single text content"
        r"|not have (?:any )?(?:vision|image|audio|tool)|text only|unknown variant (?:image|input|audio|video|file)"
        r"|requires (?:the )?(?:enable|jinja|mmproj)|mmproj|(?:not a|no) (?:\S+ )?(?:multi ?modal|vision)\b"
        r"|that support (?:\S+ )?(?:image|tool|vision|audio|response format)"),
    _rule(e.ModelGated, "400|401|403|404|451",
        r"\bgated\b|(?:accept|agree)\w*@few (?:terms|conditions|licen[cs]e|agreement)|terms (?:acceptance|required)"
        r"|\baccess to@few (?:model|repo\w*)@few (?:restricted|denied|required|pending)|can not access th\w+ model"
        r"|\b(?:ask|request\w*|need|must have|grant\w*|not have)@few access@few (?:model|repo\w*)\b"
        r"|model access denied|authorized list|awaiting (?:a )?review|model owner"),
    _rule(e.ModelNotSupported, "200|400|401|403|404|410|422|500",
        r"\b@model\b(?: (?!param|propert|argument|field|role|return|produc|generat|output|call"
        r"|template)\S+){0,8}? (?:(?:is |was )?not (?:currently |yet |been |be |a |an )*(?:found|supported|deployed"
        r"|available|exist|served|recogni[sz]ed|known|valid|accessible|activated|allowed|hosted|offered|chat)|@gone"
        r"|unavailable|unsupported|is unknown|is invalid|only available|in the list|in (?:\S+ )?allow\w*"
        r"|not in(?! (?:\S+ ){0,3}?(?:state|status|ready|memory|service|sync|use|position)\b))|\b(?:unknown|no such|invalid"
        r"|unsupported|unrecogni[sz]ed"
        r"|non ?existent|incorrect|find(?: the| this| any)?)(?: requested| specified)? model\b(?! (?:param|output"
        r"|response|input|type))|unable to access (?:\S+ ){0,3}?model"
        # the models that it has, instead of the one that it has not
        r"|\bmodels?\b(?: (?:names?|ids?|field|parameter|value))?(?: \S+)?? (?:must|should|has to|needs to|can only"
        r"|may only|expected to)"
        r" (?:only )?be (?:one of|in|among|either|any of|from)\b"
        r"|\bmodel input should be (?!(?:an? )?(?:valid|string|text|model)\b|at |less|greater)|\b(?:value for"
        r"|values of)@few model\n"
        r"|\bexpected one of (?:\S+ ){1,20}?for (?:the |field )?model\b|(?m:^ ?(?:the |your )?models? available (?:to|for"
        r"|on)\b)"
        r"|\b(?:plan|key|tier|account|subscription|token|project|user|you)\b(?: (?:can|may|is|has|have|only))*"
        r" (?:includ|allow|cover|use|call|limited to|access)\w*(?: only)? (?:the |these )(?:following )?models?\b"
        r"|(?m:^ ?(?:the )?(?:list of )?(?:only )?(?:currently |all )?(?:supported|available|allowed|valid|permitted"
        r"|accepted|known|served)"
        r" (?:api )?models?(?: names?| ids?)?\b(?! not\b))|\b(?:supported|available|allowed|valid|permitted|accepted)"
        r" (?:api )?models?(?: names?| ids?)? (?:are|is|include|for this)\b"
        r"|\bonly (?:\S+ ){0,3}?(?:following|these) models?\b|\bonly models? (?:\S+ ){0,6}?(?:available|supported"
        r"|allowed|served)\b"
        r"|(?:choose|select|pick|use) (?:\S+ ){0,2}?(?:one )?(?:of|from) (?:\S+ ){0,3}?models\b"
        r"|not match (?:\S+ ){0,3}?models?\b"
        r"|expected (?:the )?model to be|unexpected model\b|(?:among|one of) (?:the |our )?(?:available|supported"
        r"|allowed|valid) models\b"
        # a base model, which cannot chat
        r"|\bbase models?\b(?: \S+){0,6}? not |\bnot (?:\S+ ){0,3}(?:for|by|with) base (?:\S+ )?models\b|no prompt template"
        r"|not be used for chat"
        r"|\b(?:no|missing|lacks?|without|(?:not|must) (?:have|define|specify|provide|contain|include|find))(?: (?:a"
        r"|any|default|valid|its|the))*"
        r" (?:jinja )?chat template\b|(?<!request )\bchat template (?:\S+ ){0,2}?(?:not (?:set|found|defined"
        r"|available|provided|specified|exist)"
        r"|missing|no longer allowed|required)|template error template not found"
        r"|not a (?:valid |supported |known )?(?:\S+ )?model\b|\bmodels/\S+ is not found|not activated (?:the )?model\b"
        r"|\bdeployment\b(?: \S+){0,4} not (?:found|exist)\b|deployment not found|try pulling|task not found"
        r"|no end ?points? (?:found|available)|(?:not (?:supported|available|enabled)|not support)@few (?:chat|task"
        r"|provider|conversational|text generation)\b"
        r"|\bprovider@few not (?:support\w*|enabled|available|found|serve)|no (?:inference )?providers?\b"),
    _rule(e.ModelLoading, "200|404|409|424|425|429|5..",
        r"\b(?:currently|still|being|is|now) loading|being loaded"
        r"|(?<!error )(?<!failed )\bloading (?:the )?(?:model|weights)|estimated time|warming up|cold (?:start|boot)"
        r"|scal(?:ed|ing) (?:to zero|from zero|up)|not (?:\S+ ){0,3}?ready\b|spinning up|starting up|\b(?:model|endpoint"
        r"|deployment|server|engine|replica)@few (?:starting|initiali[sz]ing|booting|warming|provisioning)"),
    _rule(e.HfTokenForbidden, "400|401|403|434",
        r"permission|insufficient scope|inference\.serverless|on behalf of"
        r"|not (?:authorized|allowed|permitted) to (?:call|use|make)"),
    _rule(e.HfTokenInvalid, "200|400|401|403|5..",
        r"\b(?:invalid|incorrect|wrong|missing|bad|malformed|unknown|no|expired|revoked|without|provide"
        r"|validate)(?: \S+)?? @key|\b@key@some @bad|authorization header|failed to auth"
        r"|(?m:^(?:invalid|expired) token ?$)"),
    _rule(e.HfTokenInvalid, "401|403",
        r"\btoken@some @bad|@bad token|\b(?:not|un) ?authenticated|log ?in\b|sign in\b"),
    _rule(e.UpstreamUnavailable, "200|400|424|500|502|503",
        r"missing field name|\d{3} (?:client|server) error.{0,80} for url|fetch failed|econn\w+|socket hang up"
        r"|no healthy|connection (?:\S+ ){0,2}?(?:refused|reset|error|failed|closed|aborted)|connect error"
        r"|service (?:\S+ ){0,2}?unavailable|temporarily unavailable|bad gateway|internal (?:server )?error"
        r"|maintenance|name resolution|no available server"),
    _rule(e.EndpointRetired, "404|405",
        r"(?m:^ ?(?:404 )?(?:page |file )?not found ?$)|no route|unknown (?:request )?url|invalid url"
        r"|unrecogni[sz]ed request|\b(?:route|url|path|page|resource|endpoint)\b@some (?:not (?:found|exist"
        r"|recogni[sz]ed|defined)|does not exist|invalid)"),
)  # fmt: skip

_BY_STATUS = {
    status: error
    for error, statuses in {
        e.HfTokenInvalid: (401,),
        e.CreditsExhausted: (402,),
        e.HfTokenForbidden: (403, 434),
        e.ModelNotSupported: (404,),
        e.EndpointRetired: (405, 410, 501),
        e.ContextLengthExceeded: (413,),
        e.UpstreamRateLimited: (429,),
        e.UpstreamOverloaded: (498, 503, 529),
        e.UpstreamTimeout: (408, 504, 522, 524),
        e.UpstreamUnavailable: (407, 409, 424, 425, 499),
    }.items()
    for status in statuses
}


def error_meant(text: str, statuses: Sequence[int]) -> type[e.HfchatError] | None:
    """The error that the text means with one of the statuses; None where no rule matches."""
    return next(
        (
            kind
            for kind, only, words in _RULES
            if any(only.fullmatch(str(status)) for status in statuses) and words.search(text)
        ),
        None,
    )


def error_by_status(status: int) -> type[e.HfchatError]:
    """The error of a status, where no rule matches the text."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 300 <= status < 400:
        return e.EndpointRetired
    return e.UpstreamRejected if 400 <= status < 500 else e.UpstreamUnavailable
