"""Every sentence of the pages, in English and Spanish, and the choice between the two. What errors say is in `error_texts`."""

from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "es"]

PAGE: dict[Language, dict[str, str]] = {
    "en": {
        "sign_in": "Sign in",
        "sign_in_lead": "Paste the token you were given, or open your invite link.",
        "token": "Token",
        "sign_in_button": "Sign in",
        "sign_in_help": "No token? Ask whoever runs this chat for one.",
        "confirm_lead": "This invite link is for {name}.",
        "confirm_button": "Sign in as {name}",
        "confirm_help": "Continue only if the link was given to you. What you ask then counts for this person.",
        "already_signed_in": "You are signed in as {name} now. Signing in again ends that session in this browser.",
        "stay_signed_in": "Stay signed in as {name}",
        "issuer_unnamed": "from another server",
        "sign_out": "Sign out",
        "signed_in_as": "Signed in as {subject}",
        "left_of_rate": "{left} of {limit} requests left {period}",
        "left_of_budget": "{left} of {limit} tokens left {period}",
        "set_up": "Almost there: set up this Space",
        "set_up_lead": "This Space is closed until its owner has set the key that signs people's tokens.",
        "set_up_1": "Make a key. In any terminal with Python:",
        "set_up_2": "In this Space, open Settings, then Variables and secrets, and add it as a secret named JWT_SECRET.",
        "set_up_3": "Add a second secret named HUGGINGFACE_API_TOKEN: a token made on this page, its permission preselected:",
        "set_up_4": "The Space restarts by itself. Then issue a token for each person, with the same key:",
        "docs": "API reference",
        "request_example": "Example",
        "answers": "Answers",
        "optional": "optional",
        "errors": "Errors",
        "placeholder": "Type a message…",
        "conversation": "Conversation",
        "greeting": "How can I help?",
        "thinking": "Thinking…",
        "thoughts": "Reasoning",
        "empty_message": "There is nothing to answer yet: write a message first.",
        "said_nothing": "The model ended its reply without a word.",
        "cut_at_limit": "✂️ The reply ends here because it reached its limit. Ask to continue.",
        "not_now": "This chat does not answer at the moment. What you sent waits until it does.",
        "session_over": "Your session has ended: sign in again.",
        "request_id": "Request id",
    },
    "es": {
        "sign_in": "Iniciar sesión",
        "sign_in_lead": "Pega el token que te dieron o abre tu enlace de invitación.",
        "token": "Token",
        "sign_in_button": "Entrar",
        "sign_in_help": "¿No tienes token? Pídelo a quien administra este chat.",
        "confirm_lead": "Este enlace de invitación es para {name}.",
        "confirm_button": "Entrar como {name}",
        "confirm_help": "Continúa solo si te dieron este enlace a ti. Lo que preguntes cuenta para esta persona.",
        "already_signed_in": "Ahora tienes la sesión de {name}. Entrar de nuevo termina esa sesión en este navegador.",
        "stay_signed_in": "Seguir como {name}",
        "issuer_unnamed": "de otro servidor",
        "sign_out": "Cerrar sesión",
        "signed_in_as": "Sesión de {subject}",
        "left_of_rate": "quedan {left} de {limit} peticiones {period}",
        "left_of_budget": "quedan {left} de {limit} tokens {period}",
        "set_up": "Ya casi está: configura este Space",
        "set_up_lead": "Este Space está cerrado hasta que su dueño ponga la clave que firma los tokens de las personas.",
        "set_up_1": "Crea una clave. En cualquier terminal con Python:",
        "set_up_2": "En este Space, abre Settings, luego Variables and secrets, y añádela como secreto JWT_SECRET.",
        "set_up_3": "Añade otro secreto, HUGGINGFACE_API_TOKEN: un token creado en esta página, con el permiso ya marcado:",
        "set_up_4": "El Space se reinicia solo. Después, emite un token para cada persona con la misma clave:",
        "docs": "Referencia de la API",
        "request_example": "Ejemplo",
        "answers": "Respuestas",
        "optional": "opcional",
        "errors": "Errores",
        "placeholder": "Escribe un mensaje…",
        "conversation": "Conversación",
        "greeting": "¿En qué puedo ayudarte?",
        "thinking": "Pensando…",
        "thoughts": "Razonamiento",
        "empty_message": "Todavía no hay nada que responder: escribe antes un mensaje.",
        "said_nothing": "El modelo ha terminado su respuesta sin decir nada.",
        "cut_at_limit": "✂️ La respuesta termina aquí porque llegó a su límite. Pide que continúe.",
        "not_now": "Este chat no responde en este momento. Lo que has enviado espera hasta que lo haga.",
        "session_over": "Tu sesión ha terminado: vuelve a entrar.",
        "request_id": "Identificador de la petición",
    },
}

# What a window of a limit is called: after "requests a", after "tokens for", and when what is used in it returns.
_WINDOWS: dict[Language, dict[str, tuple[str, str, str]]] = {
    "en": {
        "second": ("second", "this second", "in {time}"),
        "minute": ("minute", "this minute", "in {time}"),
        "hour": ("hour", "this hour", "in {time}"),
        "day": ("day", "today", "at midnight UTC"),
        "week": ("week", "this week", "on Monday at midnight UTC"),
        "month": ("month", "this month", "on the first of next month at midnight UTC"),
    },
    "es": {
        "second": ("segundo", "este segundo", "en {time}"),
        "minute": ("minuto", "este minuto", "en {time}"),
        "hour": ("hora", "esta hora", "en {time}"),
        "day": ("día", "hoy", "a medianoche UTC"),
        "week": ("semana", "esta semana", "el lunes a medianoche UTC"),
        "month": ("mes", "este mes", "el primero del próximo mes a medianoche UTC"),
    },
}
# One, and several.
_COUNTED: dict[Language, tuple[dict[str, str], dict[str, str]]] = {
    "en": ({"requests": "request", "replies": "reply"}, {"requests": "requests", "replies": "replies"}),
    "es": ({"requests": "petición", "replies": "respuesta"}, {"requests": "peticiones", "replies": "respuestas"}),
}


def spoken(facts: Mapping[str, int | str], language: Language) -> dict[str, str]:
    """What a sentence on a limit names: each number as it is written, `window` as {unit}, {period} and {return}.

    `reset_s`, the seconds until the window ends, is {time}; {requests} and {replies} are `limit` with its word.
    """
    said = {name: _number(value, language) if isinstance(value, int) else value for name, value in facts.items()}
    one, many = _COUNTED[language]
    limit = facts.get("limit", 0)
    for name, words in (one if limit == 1 else many).items():
        said[name] = f"{said.get('limit', '')} {words}"
    said["time"] = _duration(int(facts.get("reset_s", 0)))
    if "window" in facts:
        said["unit"], said["period"], back = _WINDOWS[language][str(facts["window"])]
        said["return"] = back.format(**said)
    return said


def _number(value: int, language: Language) -> str:
    return f"{value:,}" if language == "en" else f"{value:,}".replace(",", "\u00a0")


def _duration(seconds: int) -> str:
    for length_s, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length_s:
            return f"{-(-seconds // length_s)} {unit}"
    return f"{max(seconds, 1)} s"


def language_of(accept_language: str) -> Language:
    """The one of our two languages that an `Accept-Language` header prefers (RFC 9110 section 12.5.4); else English."""
    best: tuple[float, int, Language] = (0.0, 0, "en")
    for place, item in enumerate(accept_language[:1000].split(",")):
        tag, _, weight = item.strip().partition(";")
        language = tag.strip().lower().partition("-")[0]
        try:
            quality = float(weight.partition("=")[2]) if weight else 1.0
        except ValueError:
            continue
        if language in ("en", "es") and (quality, -place) > best[:2] and quality > 0:
            best = (quality, -place, "en" if language == "en" else "es")
    return best[2]
