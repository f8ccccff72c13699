// Operations of the dialect `tile` that make lists of places. What each means is said in ListOps.td.
#pragma once

#include "ir/tile/TileDialect.h"

// What mlir-tblgen writes does not name all arguments it has.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define GET_OP_CLASSES
#include "ir/tile/ListOps.h.inc"
#pragma GCC diagnostic pop
