"""What each error says, in English and Spanish: what happened, what the caller can do, what the owner can do.

A caller is never told to pay or to mend what is the owner's; `owner_hint` goes to the owner's log and to tokens with
the scope `admin`. `{model}` is the model's id or the words "the model"; `{detail}` is the provider's own words, cleaned.
"""

from dataclasses import dataclass

PROVIDERS_PAGE = "https://hf.co/settings/inference-providers"
TOKEN_PAGE = (
    "https://huggingface.co/settings/tokens/new?ownUserPermissions=inference.serverless.write&tokenType=fineGrained"  # noqa: S105
)
CREDITS_PAGE = "https://huggingface.co/settings/billing"
ROUTER = "https://router.huggingface.co/v1"


@dataclass(frozen=True, slots=True)
class ErrorText:
    """The sentences of one error in one language."""

    message: str
    hint: str
    owner_hint: str = ""


_TELL = "Please tell whoever runs this chat, and give them the request id."
_DI = "Avisa a quien administra este chat y dale el identificador de la petición."
_AGAIN = "Try again in a moment."
_OTRA = "Inténtalo de nuevo en un momento."
_NEW_LINK = "Ask whoever runs this chat for a new token or invite link."
_OTRO_ENLACE = "Pide a quien administra este chat un token o un enlace de invitación nuevo."

ENGLISH: dict[str, ErrorText] = {
    "missing_token": ErrorText(
        "You are not signed in.",
        "Send a token in the header `Authorization: Bearer <token>`, or open the sign-in page at /login.",
    ),
    "invalid_token": ErrorText("This token is not valid here. {detail}", _NEW_LINK),
    "expired_token": ErrorText("This token has expired.", _NEW_LINK),
    "revoked_token": ErrorText("This token has been taken back.", _NEW_LINK),
    "insufficient_scope": ErrorText("This token does not allow that. {detail}", _NEW_LINK),
    "model_not_allowed": ErrorText(
        "The model {model} is not offered here.",
        "Leave `model` out to use the default one, or choose one of: {detail}.",
        "Models that people may choose are listed in HF_CHAT_MODELS.",
    ),
    "invalid_request": ErrorText(
        "The request is not in the right form: {detail}", "See /docs for the form and examples."
    ),
    "not_found": ErrorText("There is nothing at this address.", "See /docs for the addresses there are."),
    "method_not_allowed": ErrorText("This address does not take that method.", "It takes {detail}."),
    "payload_too_large": ErrorText(
        "The request is too large: {detail}", "Send a shorter conversation, or leave its oldest messages out."
    ),
    "rate_limit_exceeded": ErrorText(
        "Too many requests: {detail}", "Wait until then. Whoever runs this chat can give you a higher limit."
    ),
    "budget_exceeded": ErrorText(
        "Too few tokens are left: {detail}",
        "Ask for a shorter reply, or start a new chat: a conversation is counted anew with each message.",
    ),
    "too_many_streams": ErrorText(
        "Too many replies at once: {detail}", "Wait until one of them has ended, or stop it."
    ),
    "context_length_exceeded": ErrorText(
        # LangChain and LiteLLM know it by the words "prompt is too long".
        "The prompt is too long for {model}: the whole conversation counts.",
        "Start a new chat, shorten your message, or ask for a shorter reply.",
    ),
    "unsupported_input": ErrorText(
        "{model} does not take this kind of input. {detail}", "Send plain text, or choose another model."
    ),
    "upstream_rejected": ErrorText(
        "The model's provider refused the request. {detail}", "Change the request, or choose another model."
    ),
    "model_not_supported": ErrorText(
        "{model} is not supported by any provider that is enabled here.",
        "Choose another model. Whoever runs this chat can enable a provider that serves it.",
        f"Enable a provider that serves it at {PROVIDERS_PAGE}, check the model's id, or set HF_CHAT_MODEL to another.",
    ),
    "model_gated": ErrorText(
        "{model} is gated: its authors ask for their terms to be accepted first.",
        f"Choose another model. {_TELL}",
        "Accept the terms at https://huggingface.co/{page} with the account that owns the Hugging Face token.",
    ),
    "credits_exhausted": ErrorText(
        "This chat has no credit left with the model's provider.",
        _TELL,
        f"The included credits of the Hugging Face account are used up: see {CREDITS_PAGE}, or wait for next month's.",
    ),
    "hf_token_invalid": ErrorText(
        "This chat cannot sign in to the model's provider.",
        _TELL,
        f"Hugging Face refuses HUGGINGFACE_API_TOKEN. Make a new one at {TOKEN_PAGE}, put it into .env and start again.",
    ),
    "hf_token_forbidden": ErrorText(
        "This chat is not permitted to use the model's provider.",
        _TELL,
        "The Hugging Face token lacks the permission “Make calls to Inference Providers” (or the permission for the "
        f"organisation in HF_CHAT_BILL_TO). Make one that has it at {TOKEN_PAGE}.",
    ),
    "endpoint_retired": ErrorText(
        "The address that this chat calls for models no longer answers there.",
        _TELL,
        f"Set HF_CHAT_BASE_URL to {ROUTER} or leave it out; another server's address usually ends in /v1.",
    ),
    "overloaded": ErrorText("This chat is busy or about to restart.", _AGAIN, "Nothing to do if it was just stopped."),
    "store_unavailable": ErrorText(
        "This chat cannot look up what you may use, so it answers nobody for the moment.",
        _AGAIN,
        "The ledger at HFCHAT_STORE does not answer: the log says why. It goes on by itself once the store is back.",
    ),
    "internal_error": ErrorText(
        "Something went wrong in hfchat itself.",
        _TELL,
        "The log has the place, under the request id.",
    ),
    "upstream_rate_limited": ErrorText(
        "The model's provider is limiting requests.", _AGAIN, "HF_CHAT_FALLBACK_MODELS names models to try instead."
    ),
    "model_loading": ErrorText("{model} is still loading.", "Try again in about {wait} seconds."),
    "upstream_overloaded": ErrorText(
        "The model's provider is overloaded.", _AGAIN, "HF_CHAT_FALLBACK_MODELS names models to try instead."
    ),
    "upstream_timeout": ErrorText(
        "The model took too long to answer.", _AGAIN, "HF_CHAT_TIMEOUT_S is the longest silence that is waited for."
    ),
    "upstream_unavailable": ErrorText(
        "The model's provider cannot be reached or is failing.",
        _AGAIN,
        "See that the server at HF_CHAT_BASE_URL is up; Hugging Face's own state is at https://status.huggingface.co.",
    ),
    "upstream_interrupted": ErrorText("The reply was cut off before its end.", "What came is kept. Try again."),
    "upstream_invalid_response": ErrorText(
        "The model's provider sent no readable reply.",
        _AGAIN,
        "Where it stays so, what answers at HF_CHAT_BASE_URL is no chat completions server: its address often ends in /v1.",
    ),
}

SPANISH: dict[str, ErrorText] = {
    "missing_token": ErrorText(
        "No has iniciado sesión.",
        "Envía un token en la cabecera `Authorization: Bearer <token>` o abre la página de acceso en /login.",
    ),
    "invalid_token": ErrorText("Este token no es válido aquí. {detail}", _OTRO_ENLACE),
    "expired_token": ErrorText("Este token ha caducado.", _OTRO_ENLACE),
    "revoked_token": ErrorText("Este token ha sido retirado.", _OTRO_ENLACE),
    "insufficient_scope": ErrorText("Este token no permite eso. {detail}", _OTRO_ENLACE),
    "model_not_allowed": ErrorText(
        "El modelo {model} no se ofrece aquí.",
        "Omite `model` para usar el predeterminado o elige uno de estos: {detail}.",
        "Los modelos que se pueden elegir están en HF_CHAT_MODELS.",
    ),
    "invalid_request": ErrorText(
        "La petición no tiene la forma correcta: {detail}", "Consulta la forma y los ejemplos en /docs."
    ),
    "not_found": ErrorText("No hay nada en esta dirección.", "Consulta en /docs las direcciones que existen."),
    "method_not_allowed": ErrorText("Esta dirección no admite ese método.", "Admite {detail}."),
    "payload_too_large": ErrorText(
        "La petición es demasiado grande: {detail}",
        "Envía una conversación más corta o quita los mensajes más antiguos.",
    ),
    "rate_limit_exceeded": ErrorText(
        "Demasiadas peticiones: {detail}",
        "Espera hasta entonces. Quien administra este chat puede darte un límite mayor.",
    ),
    "budget_exceeded": ErrorText(
        "Quedan muy pocos tokens: {detail}",
        "Pide una respuesta más corta o empieza un chat nuevo: la conversación se cuenta otra vez con cada mensaje.",
    ),
    "too_many_streams": ErrorText(
        "Demasiadas respuestas a la vez: {detail}", "Espera a que termine una de ellas, o detenla."
    ),
    "context_length_exceeded": ErrorText(
        "La petición es demasiado larga para {model}: cuenta toda la conversación.",
        "Empieza un chat nuevo, acorta tu mensaje o pide una respuesta más corta.",
    ),
    "unsupported_input": ErrorText(
        "{model} no admite este tipo de entrada. {detail}", "Envía solo texto o elige otro modelo."
    ),
    "upstream_rejected": ErrorText(
        "El proveedor del modelo ha rechazado la petición. {detail}", "Cambia la petición o elige otro modelo."
    ),
    "model_not_supported": ErrorText(
        "Ningún proveedor activado aquí ofrece {model}.",
        "Elige otro modelo. Quien administra este chat puede activar un proveedor que lo ofrezca.",
        f"Activa en {PROVIDERS_PAGE} un proveedor que lo ofrezca, revisa el nombre del modelo o cambia HF_CHAT_MODEL.",
    ),
    "model_gated": ErrorText(
        "{model} tiene acceso restringido: sus autores piden aceptar antes sus condiciones.",
        f"Elige otro modelo. {_DI}",
        "Acepta las condiciones en https://huggingface.co/{page} con la cuenta dueña del token de Hugging Face.",
    ),
    "credits_exhausted": ErrorText(
        "Este chat no tiene crédito con el proveedor del modelo.",
        _DI,
        f"El crédito incluido en la cuenta de Hugging Face se ha agotado: mira {CREDITS_PAGE} o espera al mes próximo.",
    ),
    "hf_token_invalid": ErrorText(
        "Este chat no puede identificarse ante el proveedor del modelo.",
        _DI,
        f"Hugging Face rechaza HUGGINGFACE_API_TOKEN. Crea otro en {TOKEN_PAGE}, ponlo en .env y reinicia.",
    ),
    "hf_token_forbidden": ErrorText(
        "Este chat no tiene permiso para usar el proveedor del modelo.",
        _DI,
        "Al token de Hugging Face le falta el permiso «Make calls to Inference Providers» (o el de la organización de "
        f"HF_CHAT_BILL_TO). Crea uno que lo tenga en {TOKEN_PAGE}.",
    ),
    "endpoint_retired": ErrorText(
        "La dirección a la que este chat pide los modelos ya no responde.",
        _DI,
        f"Pon {ROUTER} en HF_CHAT_BASE_URL o quítala; la dirección de otro servidor suele terminar en /v1.",
    ),
    "overloaded": ErrorText(
        "Este chat está ocupado o a punto de reiniciarse.", _OTRA, "Nada que hacer si se acaba de detener."
    ),
    "store_unavailable": ErrorText(
        "Este chat no puede consultar lo que te queda, así que por ahora no responde a nadie.",
        _OTRA,
        "El registro de uso de HFCHAT_STORE no responde: el log dice por qué. Sigue solo en cuanto vuelva.",
    ),
    "internal_error": ErrorText(
        "Algo ha fallado en el propio hfchat.",
        _DI,
        "El registro dice dónde, con el identificador de la petición.",
    ),
    "upstream_rate_limited": ErrorText(
        "El proveedor del modelo está limitando las peticiones.",
        _OTRA,
        "HF_CHAT_FALLBACK_MODELS indica modelos alternativos.",
    ),
    "model_loading": ErrorText(
        "{model} todavía se está cargando.",
        "Inténtalo de nuevo en unos {wait} segundos.",
    ),
    "upstream_overloaded": ErrorText(
        "El proveedor del modelo está saturado.", _OTRA, "HF_CHAT_FALLBACK_MODELS indica modelos alternativos."
    ),
    "upstream_timeout": ErrorText(
        "El modelo ha tardado demasiado en responder.", _OTRA, "HF_CHAT_TIMEOUT_S es el silencio máximo que se espera."
    ),
    "upstream_unavailable": ErrorText(
        "No se puede contactar con el proveedor del modelo o está fallando.",
        _OTRA,
        "Comprueba que el servidor de HF_CHAT_BASE_URL funciona; el estado de Hugging Face está en "
        "https://status.huggingface.co.",
    ),
    "upstream_interrupted": ErrorText(
        "La respuesta se ha cortado antes de terminar.", "Lo que llegó se conserva. Inténtalo de nuevo."
    ),
    "upstream_invalid_response": ErrorText(
        "El proveedor del modelo no ha enviado una respuesta legible.",
        _OTRA,
        "Si sigue así, lo que responde en HF_CHAT_BASE_URL no es un servidor de chat completions: su dirección suele "
        "terminar en /v1.",
    ),
}

# The particulars that some messages name as `{detail}`, by key: `at_most|2` becomes the sentence with `{value}` = 2.
DETAILS: dict[str, tuple[str, str]] = {
    "token_malformed": (
        "It is not a whole token: copy it again from its first letter to its last.",
        "No es un token completo: cópialo de nuevo desde la primera letra hasta la última.",
    ),
    "token_scheme": (
        "Write it as `Authorization: Bearer <token>`.",
        "Escríbelo como `Authorization: Bearer <token>`.",
    ),
    "token_too_long": ("It is longer than any token of ours.", "Es más largo que cualquier token nuestro."),
    "token_algorithm": (
        "Its header asks for a signature that is not taken here.",
        "Su cabecera pide una firma que aquí no se admite.",
    ),
    "token_signature": (
        "Its signature was not made with the key of this server.",
        "Su firma no se hizo con la clave de este servidor.",
    ),
    "token_early": ("It is not valid yet.", "Todavía no es válido."),
    "token_claim_missing": ("The claim `{value}` is missing.", "Falta el dato `{value}`."),
    "token_claim_wrong": (
        "The claim `{value}` has a value that is not taken here.",
        "El dato `{value}` tiene un valor que aquí no se admite.",
    ),
    "token_claim_unknown": (
        "It has claims that this server does not know: {value}.",
        "Tiene datos que este servidor no conoce: {value}.",
    ),
    "token_key_unknown": (
        "It is signed with a key that its issuer does not publish.",
        "Está firmado con una clave que su emisor no publica.",
    ),
    "token_key_unreachable": (
        "Its issuer's keys cannot be fetched at the moment: try again soon.",
        "Ahora no se pueden obtener las claves de su emisor: inténtalo dentro de poco.",
    ),
    "no_models": (
        "none, because the models that this token names are not offered here",
        "ninguno, porque los modelos que nombra este token no se ofrecen aquí",
    ),
    "models_offered": ("{value}", "{value}"),
    "methods": ("{value}", "{value}"),
    "token_or_id": (
        "it is neither a whole token nor a token's id.",
        "no es un token completo ni el identificador de uno.",
    ),
    "rate_used": (
        "{requests} a {unit}; try again in {time}.",
        "{requests} por {unit}; inténtalo de nuevo en {time}.",
    ),
    "budget_used": (
        "your {limit} tokens for {period} are used; they return {return}.",
        "tus {limit} tokens de {period} ya están usados; vuelven {return}.",
    ),
    "budget_short": (
        "this could take {needed}, and {left} of your {limit} for {period} are left; the rest returns {return}.",
        "esto podría usar {needed}, y quedan {left} de tus {limit} de {period}; el resto vuelve {return}.",
    ),
    "budget_held": (
        "this could take {needed}, and {left} of your {limit} for {period} are free while your other replies go on.",
        "esto podría usar {needed}, y hay {left} libres de tus {limit} de {period} mientras siguen tus otras respuestas.",
    ),
    "budget_never": (
        "this could take {needed}, more than all your {limit} for {period}.",
        "esto podría usar {needed}, más que todos tus {limit} de {period}.",
    ),
    "streams_used": ("you may have {replies} in progress.", "puedes tener {replies} en curso."),
    "bodies_used": (
        "you are in the middle of sending as much as is taken from one person at once.",
        "estás enviando a la vez todo lo que se admite de una persona.",
    ),
    "waiting_used": (
        "as many calls of yours as may wait for the answer of another one do so.",
        "ya esperan la respuesta de otra tantas llamadas tuyas como pueden hacerlo.",
    ),
    "connections_used": (
        "your pages have {value} connections open, and no more are taken.",
        "tus páginas tienen {value} conexiones abiertas y no se admiten más.",
    ),
    "sessions_used": (
        "each of the {value} pages that you may have open is in the middle of a reply.",
        "cada una de las {value} páginas que puedes tener abiertas está recibiendo una respuesta.",
    ),
    "events_used": (
        "this page asked for {value} replies that it has not fetched.",
        "esta página pidió {value} respuestas que no ha recogido.",
    ),
    "page_steps_used": (
        "your pages ask for more than is answered to one person; try again in {time}.",
        "tus páginas piden más de lo que se contesta a una persona; inténtalo de nuevo en {time}.",
    ),
    "scope_missing": ("It needs the scope `{value}`.", "Necesita el permiso `{value}`."),
    "cross_site": (
        "it came from another site's page.",
        "viene de la página de otro sitio.",
    ),
    "only_as_page": (
        "it opens as a page of its own only, not as a part of another.",
        "solo se abre como página propia, no como parte de otra.",
    ),
    "two_sessions": (
        "The browser sent two session cookies. Delete the cookies of this site, then sign in again.",
        "El navegador envió dos cookies de sesión. Borra las cookies de este sitio y vuelve a entrar.",
    ),
    "not_json": ("the body is not JSON.", "el cuerpo no es JSON."),
    "object": ("it must be an object.", "debe ser un objeto."),
    "list": ("it must be a list.", "debe ser una lista."),
    "text": ("it must be a text.", "debe ser un texto."),
    "number": ("it must be a number.", "debe ser un número."),
    "whole_number": ("it must be a whole number.", "debe ser un número entero."),
    "boolean": ("it must be true or false.", "debe ser true o false."),
    "required": ("it is missing.", "falta."),
    "scalar": (
        "it must be a text, a number, true or false.",
        "debe ser un texto, un número, true o false.",
    ),
    "word": (
        "it must be one word, a number, true or false.",
        "debe ser una sola palabra, un número, true o false.",
    ),
    "field_refused": (
        "this field is not passed on.",
        "este campo no se transmite.",
    ),
    "part_refused": (
        "`{value}` is not passed on: only texts and pictures are.",
        "`{value}` no se transmite: solo textos e imágenes.",
    ),
    "picture_address": (
        "a picture must be a `data:` URL, or an https address of a host that is allowed here, without a port.",
        "una imagen debe ser una URL `data:`, o una dirección https de un host permitido aquí, sin puerto.",
    ),
    "unknown_field": ("there is no such field.", "ese campo no existe."),
    "one_of": ("it must be {value}.", "debe ser {value}."),
    "at_least": ("it must be at least {value}.", "debe ser al menos {value}."),
    "more_than": ("it must be more than {value}.", "debe ser mayor que {value}."),
    "at_most": ("it must be at most {value}.", "debe ser como máximo {value}."),
    "too_long": ("more than {value} characters.", "más de {value} caracteres."),
    "model_id": (
        "it is not a model's id, such as meta-llama/Llama-3.2-3B-Instruct:fastest.",
        "no es el nombre de un modelo, como meta-llama/Llama-3.2-3B-Instruct:fastest.",
    ),
    "no_messages": ("there are no messages.", "no hay mensajes."),
    "too_many_messages": ("more than {value} messages.", "más de {value} mensajes."),
    "empty_content": ("the content is empty.", "el contenido está vacío."),
    "last_not_user": (
        "the last message must be the user's: it is the one to be answered.",
        "el último mensaje debe ser del usuario: es el que se responde.",
    ),
    "json_values": ("more than {value} values in it.", "contiene más de {value} valores."),
    "page_values": (
        "the conversation is too long for this page: load the page anew, or start a new chat.",
        "la conversación es demasiado larga para esta página: vuelve a cargarla o empieza un chat nuevo.",
    ),
    "body_bytes": ("more than {value} bytes.", "más de {value} bytes."),
    "session_hash": (
        "the page's session is not in the right form.",
        "la sesión de la página no tiene la forma correcta.",
    ),
    "idempotency_key": (
        "it must be one key of 1 to 255 visible ASCII characters.",
        "debe ser una sola clave de 1 a 255 caracteres ASCII visibles.",
    ),
    "idempotency_other": (
        "this key came with another body before: use a new key for a new request.",
        "esta clave ya llegó con otro cuerpo: usa una clave nueva para cada petición nueva.",
    ),
    "no_files": (
        "it has fields that the page does not send: files, components or others.",
        "tiene campos que la página no envía: archivos, componentes u otros.",
    ),
    "unreadable": ("it cannot be read.", "no se puede leer."),
    "no_pictures": (
        "`{value}` does not take pictures: nothing was sent.",
        "`{value}` no admite imágenes: no se ha enviado nada.",
    ),
    "pictures_at_most": (
        "no more than {value} pictures go with a question.",
        "con una pregunta van como mucho {value} imágenes.",
    ),
    "picture_missing": (
        "a picture of this question is not kept in this browser any more: add it again.",
        "una imagen de esta pregunta ya no está guardada en este navegador: añádela de nuevo.",
    ),
}

# Those that an address of the sign-in page may name: why a token is refused, in sentences that are whole without a value.
SIGN_IN_DETAILS = frozenset(
    key
    for key, texts in DETAILS.items()
    if key == "two_sessions" or (key.startswith("token_") and key != "token_or_id" and "{" not in "".join(texts))
)
