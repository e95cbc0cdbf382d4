"""Exports a notebook as an HTML page that needs no network: `export_notebook.py NOTEBOOK FOLDER`.

Writes the page into FOLDER. Equations become MathML, which browsers draw by themselves. Links to notebooks lead to
their pages. What is folded under a heading in JupyterLab is folded on the page, too.
"""

import re
import sys
from pathlib import Path

import nbformat
from folds import folds
from jinja2 import pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

# Without what the usual page loads from elsewhere. Lines are short enough to read, figures fit the window.
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
math {
  font-family: "Latin Modern Math", "STIX Two Math", "Cambria Math", "DejaVu Math TeX Gyre", math;
  font-size: 1.1em;
}
math[display="block"] { margin: 1em 0; overflow-x: auto; overflow-y: hidden; }
details > summary {
  margin-left: var(--jp-cell-prompt-width);
  padding: 0.5em;
  cursor: pointer;
  font: bold 1em var(--jp-content-font-family);
}
</style>
{% endblock %}
{% block any_cell %}
{%- if cell.begins_fold -%}
<details><summary>{{ cell.source.lstrip("# ") }}</summary>
{%- else -%}
{{ super() }}
{%- endif -%}
{{ "</details>" if cell.ends_fold }}
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
    # The converter leaves a command that it does not know as it was.
    unknown = re.findall(r"\\[A-Za-z]+", re.sub(r"<[^>]*>", "", result))
    if unknown:
        sys.exit(f"no MathML for {', '.join(unknown)} in the equation\n    {tex}\nwrite it with other commands")
    return result


def mark_folds(cells):
    """Marks the cells with which a fold begins and ends."""
    found = [*folds(cells), None]
    for cell, fold, following in zip(cells, found, found[1:]):
        cell.begins_fold = fold is cell
        cell.ends_fold = fold is not None and fold is not following


def main():
    path, folder = Path(sys.argv[1]), Path(sys.argv[2])
    notebook = nbformat.read(path, as_version=4)
    mark_folds(notebook.cells)
    page, _ = Exporter(raw_template=TEMPLATE).from_notebook_node(notebook, {"metadata": {"name": path.stem}})
    (folder / f"{path.stem}.html").write_text(page, encoding="utf-8")


main()
