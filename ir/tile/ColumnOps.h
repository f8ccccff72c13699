// Operations of the dialect `tile` on some of a row's columns. What each means is said in ColumnOps.td.
#pragma once

#include "ir/tile/TileDialect.h"

// What mlir-tblgen writes does not name all arguments it has.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define GET_OP_CLASSES
#include "ir/tile/ColumnOps.h.inc"
#pragma GCC diagnostic pop
