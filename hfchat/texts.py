"""Every sentence of the pages, in English and Spanish, and the choice between the two. What errors say is in `error_texts`."""

from typing import Literal

Language = Literal["en", "es"]

PAGE: dict[Language, dict[str, str]] = {
    "en": {
        "sign_in": "Sign in",
        "sign_in_lead": "Paste the token you were given, or open your invite link.",
        "token": "Token",
        "sign_in_button": "Sign in",
        "sign_in_help": "No token? Ask whoever runs this chat for one.",
        "sign_out": "Sign out",
        "signed_in_as": "Signed in as {subject}",
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
        "thinking": "Thinking",
        "try_again": "Press Retry, the two arrows below, to try again.",
        "empty_message": "There is nothing to answer yet: write a message first.",
        "cut_at_limit": "✂️ The reply ends here because it reached its limit. Ask to continue.",
        "session_over": "Your session has ended: sign in again.",
        "request_id": "Request id",
    },
    "es": {
        "sign_in": "Iniciar sesión",
        "sign_in_lead": "Pega el token que te dieron o abre tu enlace de invitación.",
        "token": "Token",
        "sign_in_button": "Entrar",
        "sign_in_help": "¿No tienes token? Pídelo a quien administra este chat.",
        "sign_out": "Cerrar sesión",
        "signed_in_as": "Sesión de {subject}",
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
        "thinking": "Pensando",
        "try_again": "Pulsa las dos flechas de abajo para intentarlo de nuevo.",
        "empty_message": "Todavía no hay nada que responder: escribe antes un mensaje.",
        "cut_at_limit": "✂️ La respuesta termina aquí porque llegó a su límite. Pide que continúe.",
        "session_over": "Tu sesión ha terminado: vuelve a entrar.",
        "request_id": "Identificador de la petición",
    },
}


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
