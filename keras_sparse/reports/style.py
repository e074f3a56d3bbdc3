"""How a report looks: light and dark, on narrow screens and on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1f2328; --quiet: #59636e; --paper: #ffffff; --shade: #f3f5f7; --line: #d1d9e0; --link: #0a5bc4;
}
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --quiet: #a3adb8; --paper: #14171c; --shade: #1f242b; --line: #3a424c; --link: #7ab4ff; }
}
* { box-sizing: border-box; }
body {
  max-width: 72rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere;
  background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif;
}
a { color: var(--link); }
h1, h2, h3 { line-height: 1.25; }
h2 { margin-top: 3rem; padding-top: 0.5rem; border-top: 2px solid var(--line); }
p, ul { max-width: 50rem; }
.note { padding: 0.5rem 0.8rem; border-left: 4px solid #bf8700; background: var(--shade); }
figure { margin: 1rem 0; }
figcaption { margin-bottom: 0.3rem; color: var(--quiet); }
.box { overflow-x: auto; }
.box:focus-visible { outline: 2px solid var(--link); }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th, td { overflow-wrap: normal; }
th { font-weight: 600; }
thead th { background: var(--shade); vertical-align: bottom; }
tbody th { font-weight: 500; }
td { max-width: 32rem; }
.number { text-align: right; }
td.number { white-space: nowrap; }
/* Figures are drawn on white. */
img { display: block; max-width: 100%; height: auto; background: #ffffff; border-radius: 4px; }
pre { overflow-x: auto; padding: 0.8rem; background: var(--shade); font-size: 0.85rem; line-height: 1.35; }
summary { cursor: pointer; padding: 0.2rem 0; }
@media (max-width: 40rem) {
  /* As narrow as the screen, a figure could not be read. */
  img { max-width: max(100%, 40rem); }
}
@media print {
  @page { margin: 15mm; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  h2, h3, figcaption { break-after: avoid; }
  h2 { margin-top: 1.5rem; }
  section + section { break-before: page; }
  details:not([open]) { display: none; }
  img, tr { break-inside: avoid; }
  img { max-width: 100%; }
  .box, pre { overflow: visible; }
  table { font-size: 7.5pt; }
  th, td { padding: 0.1rem 0.35rem; }
  tbody th { overflow-wrap: anywhere; }
  pre { white-space: pre-wrap; font-size: 7.5pt; }
}
"""
