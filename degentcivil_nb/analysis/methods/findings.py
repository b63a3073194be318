"""The question what is wrong in a run."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ...store.arguments import Moment, Names
from .calls import CallQuestions
from .characters import CharacterQuestions


class FindingQuestions(CharacterQuestions, CallQuestions):
    """The question about faults in a run, answered by rules."""

    def findings(
        self,
        kind: Names = None,
        *,
        since: Moment = None,
        thresholds: Mapping[str, Mapping[str, float]] | None = None,
    ) -> pd.DataFrame:
        """List what is wrong: who is stuck, silent or goes in circles, which model is slow, what is missing.

        Everything is judged against the rest of the same run: a stay is long compared with the other stays in that
        state, a model is slow compared with its other calls. All that one rule finds about one character or model is
        one row.

        Parameters
        ----------
        kind : str or list-like of str, optional
            Only these kinds: ``stuck``, ``loop``, ``ping_pong``, ``silent``, ``waiting_for_model``, ``error_burst``,
            ``new_error``, ``malformed``, ``slow_model``, ``dear``, ``repeated_prompt``, ``rejected``, ``gap``,
            ``stalled``.
        since : datetime, str, number or timedelta, optional
            Leave out findings that were over before this moment; read as in `events`.
        thresholds : mapping of mappings, optional
            For a kind, keywords of its rule in ``degentcivil_nb.analysis.findings``, such as
            ``{"stuck": {"least": 50}}``.

        Returns
        -------
        pandas.DataFrame
            One row for each finding, the severest first: `kind` (str), `severity` (ordered category ``error``,
            ``warning``, ``info``), `character_id` (str, null if it is not about a single one), `since` and `until`
            (datetime64[ns, UTC]; `until` is missing where it goes on), `since_tick` (Int64), `rows` (object: lists of
            at most 100 rows as evidence) and `text` (str).

        Raises
        ------
        ValueError
            For an unknown kind or threshold, or a moment that cannot be understood.

        Examples
        --------
        >>> session.findings(["stuck", "gap"])["kind"].to_list()
        []
        """
        from ..findings.ask import ask_findings  # the rules are read when first used

        inner = list(thresholds.values()) if isinstance(thresholds, Mapping) else [thresholds]
        if thresholds is not None and not all(isinstance(one, Mapping) for one in inner):
            raise TypeError(f"thresholds must be a mapping of kinds to mappings, not {thresholds!r:.80}")
        return ask_findings(self._store, kind, since=since, thresholds=thresholds, silent_s=self._quiet_s())

    def _quiet_s(self) -> float:
        """Return for how many seconds a run that should be going on has reached no checkpoint; 0 if it is over."""
        return 0.0
