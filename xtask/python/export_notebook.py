"""Exports a notebook as a page that asks nothing of the network: `export_notebook.py NOTEBOOK`. Writes the page beside the notebook.

Equations become MathML, which browsers draw by themselves. Links to notebooks lead to their pages.
"""

import re
import sys
from pathlib import Path

from jinja2 import pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

# What the usual page loads from elsewhere is left out. Lines stay short enough to read, figures stay within the window.
TEMPLATE = """
{%- extends 'lab/index.html.j2' -%}
{% block html_head_js_requirejs %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block html_head_css %}
<style>
main { max-width: 64rem; margin: auto; }
.jp-OutputArea-output { overflow-x: auto; }
.jp-OutputArea-output svg, .jp-OutputArea-output img { max-width: 100%; height: auto; }
math { font-family: "Latin Modern Math", "STIX Two Math", "Cambria Math", "DejaVu Math TeX Gyre", math; font-size: 1.1em; }
math[display="block"] { margin: 1em 0; overflow-x: auto; overflow-y: hidden; }
details > summary { margin-left: var(--jp-cell-prompt-width); padding: 0.5em; cursor: pointer; }
</style>
{% endblock %}
{% block input_group %}
{%- if cell.metadata.get("jupyter", {}).get("source_hidden") -%}
<details><summary>Show the code</summary>{{ super() }}</details>
{%- else -%}
{{ super() }}
{%- endif -%}
{% endblock %}
"""


class Renderer(IPythonRenderer):
    def inline_math(self, body):
        return mathml(body, "inline")

    def block_math(self, body):
        return mathml(body, "block")

    def link(self, text, url, title=None):
        return super().link(text, re.sub(r"\.ipynb(?=$|#)", ".html", url), title)


class Exporter(HTMLExporter):
    @pass_context
    def markdown2html(self, context, source):
        attachments = context.get("cell", {}).get("attachments", {})
        return MarkdownWithMath(renderer=Renderer(escape=False, attachments=attachments)).render(source)


def mathml(tex, display):
    result = convert(tex, display=display)
    # A command that the converter does not know comes back as it was.
    unknown = re.findall(r"\\[A-Za-z]+", re.sub(r"<[^>]*>", "", result))
    if unknown:
        sys.exit(f"no MathML for {', '.join(unknown)} in the equation\n    {tex}\nwrite it with other commands")
    return result


def main():
    notebook = Path(sys.argv[1])
    exporter = Exporter(raw_template=TEMPLATE)
    page, _ = exporter.from_filename(str(notebook))
    notebook.with_suffix(".html").write_text(page, encoding="utf-8")


main()
