"""Every sentence about pictures in questions, in English and Spanish. The page's script shows them."""

from hfchat.i18n.texts import Language

PICTURES: dict[Language, dict[str, str]] = {
    "en": {
        "add": "Add pictures",
        "to_send": "Pictures that go with the question",
        "remove": "Remove {name}",
        "enlarge": "Enlarge {name}",
        "close": "Close",
        "drop": "Drop pictures here: they go with your question",
        "no_picture": "“{name}” was not added: this browser cannot open it as a picture.",
        "large": "“{name}” was not added: it is larger than {limit} MB.",
        "many": "No more than {limit} pictures go with a question.",
        "gone": "“{name}” is not kept in this browser any more.",
        "blind": "{model} takes no pictures: choose another model, or take them out.",
        "unnamed": "picture",
    },
    "es": {
        "add": "Añadir imágenes",
        "to_send": "Imágenes que van con la pregunta",
        "remove": "Quitar {name}",
        "enlarge": "Ampliar {name}",
        "close": "Cerrar",
        "drop": "Suelta aquí las imágenes: van con tu pregunta",
        "no_picture": "«{name}» no se ha añadido: este navegador no puede abrirlo como imagen.",
        "large": "«{name}» no se ha añadido: pasa de {limit} MB.",
        "many": "Con una pregunta van como mucho {limit} imágenes.",
        "gone": "«{name}» ya no está guardada en este navegador.",
        "blind": "{model} no admite imágenes: elige otro modelo o quítalas.",
        "unnamed": "imagen",
    },
}
