"""What the demo shows: lines that stay, and below them a table that lives.

On a terminal the table is drawn over itself; elsewhere it is one line every few seconds, when something changed.
Colours only on a terminal, and not where NO_COLOR is set."""

import os
import re
import shutil
import sys
import textwrap
import time

WIDEST = 100
TEXT_COLUMN = 19  # where the text of what happened begins
PLAIN_EVERY = 4.0  # seconds between two progress lines where there is no terminal
CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}


class Screen:
    def __init__(self, out=None):
        self.out = out or sys.stdout
        self.terminal = self.out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.colours = self.terminal and not os.environ.get("NO_COLOR")
        self.table = None  # gives the lines of the living table: [(text, colour)]
        self.progress = None  # gives the one line that stands for it
        self._drawn, self._pending = [], ""
        self._last_progress, self._next_progress = None, 0.0

    @property
    def width(self):
        return min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns)

    def paint(self, text, colour):
        return f"\033[{CODES[colour]}m{text}\033[0m" if self.colours and colour else text

    def cut(self, text):
        return text if len(text) < self.width else text[: self.width - 2] + "…"

    # ---- lines that stay ----

    def say(self, text="", colour=None, indent=0):
        self._erase()
        self._write(self.paint(self.cut(" " * indent + text), colour) + "\n")
        self._draw()

    def check(self, text, good):
        self._erase()
        self._write(f"    {text}  {self.paint('✓', 'green') if good else self.paint('✗', 'red')}\n")
        self._draw()

    def explain(self, text, colour="dim"):
        for line in textwrap.wrap(text, self.width - 6):
            self.say(line, colour, indent=4)

    def chapter(self, number, title, explanation):
        self.say()
        self.say(f" {number}  {title}", "bold")
        self.explain(explanation)

    def happened(self, seconds, word, text, colour=None):
        """ "  0.8 s  fixed    …"; seconds None: no time of its own."""
        head = f"{seconds:5.1f} s" if seconds is not None else " " * 7
        first, *more = self._wrapped(text, TEXT_COLUMN)
        self._erase()
        self._write(f"{head}  {self.paint(f'{word:<9}', colour)} {first}\n")
        self._draw()
        for line in more:
            self.say(line, indent=TEXT_COLUMN)

    def remark(self, text):
        """Belongs to what happened just before."""
        for line in self._wrapped(text, TEXT_COLUMN):
            self.say(line, "dim", TEXT_COLUMN)

    def command(self, words, output, lines=12):
        """What an operator types, and what the program answered."""
        typed = textwrap.wrap(
            re.sub(r"(--[a-z-]+) (?!-)", r"\1\0", "parapet " + words),  # an option stays with its value
            self.width - 12,
            break_on_hyphens=False,
            break_long_words=False,
            subsequent_indent="    ",
        )
        for number, line in enumerate(typed):
            end = " \\" if number + 1 < len(typed) else ""
            self.say(("$ " if number == 0 else "") + line.replace("\0", " ") + end, "cyan", indent=4)
        shown = output.rstrip().splitlines()
        for line in shown[:lines]:
            self.say(line, indent=4)
        if len(shown) > lines:
            self.say(f"… {len(shown) - lines} more lines", "dim", indent=4)

    def _wrapped(self, text, indent):
        return textwrap.wrap(text, max(20, self.width - 1 - indent), break_on_hyphens=False) or [""]

    # ---- the living part ----

    def refresh(self):
        if self.terminal:
            lines = self._living()
            if lines != self._drawn:
                self._erase()
                self._draw()
        elif self.progress and time.monotonic() >= self._next_progress:
            line = self.progress()
            if line != self._last_progress:
                self._write(self.cut("    " + line) + "\n")
                self._next_progress = time.monotonic() + PLAIN_EVERY
            self._last_progress = line
            self._flush()

    def rest(self):
        """Takes the living table away."""
        self._erase()
        self.table = self.progress = None
        self._flush()

    def _living(self):
        return [("", None), *self.table()] if self.terminal and self.table else []

    def _draw(self):
        self._drawn = self._living()
        for text, colour in self._drawn:
            self._write(self.paint(self.cut(text), colour) + "\n")
        self._flush()

    def _erase(self):
        if self._drawn:
            self._write(f"\r\033[{len(self._drawn)}A\033[J")
            self._drawn = []

    # What is drawn goes out in one piece, so that nothing flickers.
    def _write(self, text):
        self._pending += text

    def _flush(self):
        self.out.write(self._pending)
        self.out.flush()
        self._pending = ""
