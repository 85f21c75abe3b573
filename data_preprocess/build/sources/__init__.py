# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""One reader for each source: the publishers' files -> annotated videos."""

from data_preprocess.build.annotated import Source
from data_preprocess.build.sources import (
    avos,
    cholec80_cvs,
    cholect50,
    cholectrack20,
    copesd,
    egosurgery,
    jigsaws,
    nurvid,
)

_MODULES = (avos, cholec80_cvs, cholect50, cholectrack20, copesd, egosurgery, jigsaws, nurvid)
#: The only list of sources, by name in lower case.
SOURCES: dict[str, Source] = {module.SOURCE.name.lower(): module.SOURCE for module in _MODULES}
