// Operations of the dialect `tile` that run along the keys of a row. What each means is said in ScanOps.td.
#pragma once

#include "ir/tile/TileDialect.h"

// Generated code leaves parameters unused.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define GET_OP_CLASSES
#include "ir/tile/ScanOps.h.inc"
#pragma GCC diagnostic pop
