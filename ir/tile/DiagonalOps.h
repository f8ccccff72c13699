// Operations of the dialect `tile` on what depends on the distance of key and query. What each means is said in
// DiagonalOps.td.
#pragma once

#include "ir/tile/TileDialect.h"

// What mlir-tblgen writes does not name all arguments it has.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define GET_OP_CLASSES
#include "ir/tile/DiagonalOps.h.inc"
#pragma GCC diagnostic pop
