"""The events of many runs for other engines: as a dataset of pyarrow, and as a Dask DataFrame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pyarrow.dataset as pds  # type: ignore[import-untyped]
import pyarrow.fs as pafs  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from ..recordings.columns import COLUMNS
from ..recordings.manifest import FORMAT
from ..recordings.sealed_columns import BROKEN, are_columns
from ..store.unknown import warn_user

if TYPE_CHECKING:
    from ..recordings.run_files import RunFiles

ADVICE: Final = "Dask needs an extra; install it with: pip install 'degentcivil-nb[cluster]'"
SCHEMA: Final = pa.schema([("run", pa.string()), *COLUMNS])


def dataset_of(runs: Sequence[RunFiles], filesystem: pafs.FileSystem) -> pds.Dataset:
    """Return the sealed segments of runs of format 2 as one dataset, with a column `run`.

    Warns of runs that are left out, wholly or in part.
    """
    kind = pds.ParquetFileFormat()
    fragments = []
    for run in runs:
        if run.manifest is not None and run.manifest.format != FORMAT:
            warn_user(f"{run.name!r} is left out: it has no columns; `degentcivil-nb migrate` rewrites it")
            continue
        if not all(_has_columns(one.path, filesystem) for one in run.sealed):
            warn_user(
                f"{run.name!r} is left out: its columns are another version's; `degentcivil-nb migrate` rewrites it"
            )
            continue
        if run.tail:
            rows = sum(stats.rows for stats in run.tail_stats)
            warn_user(f"{rows:,} events of {run.name!r} are left out: they are not sealed yet")
        whose = pds.field("run") == run.name
        fragments += [kind.make_fragment(one.path, filesystem, partition_expression=whose) for one in run.sealed]
    return pds.FileSystemDataset(fragments, SCHEMA, kind, filesystem)


def _has_columns(path: str, filesystem: pafs.FileSystem) -> bool:
    try:
        return are_columns(pq.read_schema(path, filesystem=filesystem))
    except BROKEN:  # a damaged file: reading it says so
        return True


def dask_frame(dataset: pds.Dataset, columns: Sequence[str] | None) -> Any:
    """Return a dataset as a Dask DataFrame with a partition for each file."""
    try:
        import dask.dataframe as dd  # heavy, and an extra
    except ImportError as error:
        raise ImportError(ADVICE) from error
    names = SCHEMA.names if columns is None else list(columns)
    fragments = list(dataset.get_fragments())
    if not fragments:
        return dd.from_pandas(SCHEMA.empty_table().select(names).to_pandas(), npartitions=1)
    meta = SCHEMA.empty_table().select(names).to_pandas(types_mapper=_exact)
    return dd.from_map(read_fragment, fragments, columns=names, meta=meta)


def read_fragment(fragment: pds.Fragment, columns: list[str]) -> Any:
    """Read the events of a file; called by Dask's workers."""
    return fragment.to_table(
        schema=SCHEMA, columns=columns, filter=pds.field("row").is_valid(), use_threads=False
    ).to_pandas(types_mapper=_exact)


def _exact(kind: pa.DataType) -> Any:
    """Return the pandas type for a column: nullable for whole numbers, and unchanged texts."""
    import pandas as pd

    if kind == pa.int64():
        return pd.Int64Dtype()
    return pd.StringDtype(na_value=float("nan")) if kind == pa.string() else None
