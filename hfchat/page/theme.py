"""Theme of the page: Gradio's base theme in the owner's colour, without fonts from other hosts."""

from typing import Any

import gradio as gr

from hfchat.page.appearance import shades


def theme(accent: str) -> Any:
    """Gradio's theme, with contrast enough for everybody in light and dark."""
    steps = shades(accent)
    hue = gr.themes.Color(*(steps[step] for step in (50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 950)))
    return gr.themes.Default(
        primary_hue=hue,
        secondary_hue=hue,
        neutral_hue="slate",
        font=("system-ui", "sans-serif"),
        font_mono=("ui-monospace", "monospace"),
        radius_size="lg",
    ).set(
        # One frame around a form, none around each of its fields.
        block_border_width="0px",
        block_shadow="none",
        block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_100",
        block_title_text_weight="600",
        input_radius="*radius_lg",
        input_shadow="none",
        input_shadow_focus="0 0 0 2px *primary_200",
        input_shadow_focus_dark="0 0 0 2px *primary_700",
        button_small_radius="*radius_lg",
        slider_color="*primary_600",
        slider_color_dark="*primary_400",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        link_text_color="*primary_600",
        link_text_color_dark="*primary_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
    )
