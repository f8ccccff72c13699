// Operations of the dialect `tile` on work tiles besides the loop over them. What each means is said in WorkOps.td.
#pragma once

#include "ir/tile/TileDialect.h"

// What mlir-tblgen writes does not name all arguments it has.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define GET_OP_CLASSES
#include "ir/tile/WorkOps.h.inc"
#pragma GCC diagnostic pop
