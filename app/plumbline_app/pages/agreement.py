"""The Agreement page: how far people agree, and the last word where they do not."""

from __future__ import annotations

import uuid

import param
from panel.viewable import Viewable

from plumbline_app.components.address import keep_in_address
from plumbline_app.components.agreement_view import METHOD_WORDS, AgreementView
from plumbline_app.components.controls import choice
from plumbline_app.components.layout import fill, line, page_column, place
from plumbline_app.components.words import heading, notice
from plumbline_app.pages.page import Page, in_turn
from plumbline_app.theme import tokens
from plumbline_backend.domain.errors import InputError, PlumblineError

BELOW = (
    "People compared on the items that several of them answered; nobody's answers are taken for the truth."
)


class AgreementPage(Page):
    """Coefficients with intervals, each person's reliability, and the queue of items to settle."""

    section = "agreement"
    heading = "Agreement"

    method = param.Selector(default="dawid_skene", objects=list(METHOD_WORDS.values()))

    def __panel__(self) -> Viewable:
        keep_in_address(self, ["method"])
        picked = choice("Answers are put together by", METHOD_WORDS, self.method, width=240)
        picked.param.watch(lambda event: self.param.update(method=event.new), "value")
        self.param.watch(lambda _: self._draw(), "method")
        self._said, self._body = place(), place()
        top = line(heading("Agreement", BELOW), picked, **{"flex-wrap": "nowrap"})
        return page_column(top, self._said, self._body)

    def load(self) -> None:
        """Compare everybody; a second or two with many answers."""
        self._draw()

    @in_turn
    def _draw(self) -> None:
        fill(self._body)
        try:
            report = self.project.desk.trust.annotators(self.method)
        except InputError as error:
            fill(self._body, notice("Not put together this way", f"{error}.", tone="warn"))
            return
        if report.n_shared == 0:
            n = len(report.annotators)
            people = "1 person has" if n == 1 else f"{n:,} people have"
            text = (
                f"{people} answered {report.n_items:,} items, none of them twice. Let several people answer the "
                "same items: set how many people are asked each item, or let a second person browse."
            )
            link = (f"/p/{self.session.slug}/label", "Go to labelling")
            fill(self._body, notice("Nothing to compare yet", text, link=link))
            return
        fill(self._body, AgreementView(report, tokens(self.session.dark), self._settle))

    def _settle(self, item: int, class_id: str) -> None:
        try:
            self.project.record(
                item=item,
                judge=self.project.person(self.session.person),
                client_uuid=uuid.uuid4().hex,
                answer=class_id,
                stratum="adjudication",
            )
        except PlumblineError as error:
            fill(self._said, notice("Not settled", str(error), tone="bad"))
            return
        name = next(c.name for c in self.project.question().classes if c.id == class_id)
        fill(
            self._said,
            notice(f"Item {item} is settled: {name}", "It is trained on with this answer.", tone="good"),
        )
        self._draw()
