// Operations of the dialect `tile` on rows of 8-bit floats. What each means is said in WidenOps.td.
#pragma once

#include "ir/tile/TileDialect.h"

// Generated code leaves parameters unused.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define GET_OP_CLASSES
#include "ir/tile/WidenOps.h.inc"
#pragma GCC diagnostic pop
