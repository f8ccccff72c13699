// Where rows of query, key, value and results lie in memory, for what a kernel loads, stores and reads:
//
//   bshd     [batch, rows, heads, dim]            rows of request b at [b, …]
//   ragged   [rows, heads, dim]                   rows of request b from cu_seqlens[b] to cu_seqlens[b + 1]
//   paged    queries as ragged; keys [pages, n, heads, dim]: row i of request b is row i mod n of page page_table[b, i / n]
//
// What a kernel in front of the attention makes of rows in pages lies as in bshd, of the padded length.
//
// In the last two a request has lengths of its own: `q_len` and `kv_len` of the regions are read in the work tile, and a
// tensor's rows behind those of the request belong to another one. Rows behind the request's queries are loaded as they
// are and never stored; rows of keys behind its keys make scores that are masked; rows of values behind them count as 0.
#pragma once

#include "ir/attn/AttnDialect.h"
#include "ir/tile/TileDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

namespace attn {

class KernelScope;

/// The plan's argument whose rows an operand has: what an earlier kernel makes of rows lies as they do.
mlir::Value storedRows(mlir::Value operand);

/// The operands with which a `tile.load` or `tile.store` names rows.
struct RowAddress {
  llvm::SmallVector<mlir::Value, 4> indices;
  int32_t dim = 0;
  mlir::Value limit;   ///< the first row that is not there, in units of the index of `dim`; may be null
  mlir::Value pages;   ///< the page table; may be null
};

class RowPlaces {
public:
  RowPlaces(KernelScope &scope, ir::OnlineAttentionOp attention) : scope(scope), attention(attention) {}

  bool isPaged() { return !attention.getPaged().empty(); }
  bool isRagged() { return !attention.getRagged().empty(); }
  /// Whether requests have lengths of their own.
  bool isInSequence() { return isRagged() || isPaged(); }

  /// How many requests there are, and the most rows that one has: before the work loop. Null after a message.
  mlir::Value requests(mlir::Location location);
  mlir::Value longest(ir::IndexKind rows, mlir::Location location);
  /// In the work tile, whose `b` is known: reads where the request's rows lie, and binds its lengths.
  void enterRequest(mlir::Location location);

  /// How many rows of that kind the request has.
  mlir::Value length(ir::IndexKind rows, mlir::Location location);
  /// Rows from `first` on of a head, query's or out's.
  RowAddress queryRows(mlir::Value first, mlir::Value head, bool isStored);
  /// Numbers of rows: lse, max_score.
  RowAddress rowNumbers(mlir::Value first, mlir::Value head);
  /// Of key, value, and what an earlier kernel made of them: `end` is the first row that reads as 0 though the tensor may
  /// have it; null: any row of the tensor may be read, be it the request's or not.
  RowAddress keyRows(mlir::OpBuilder &builder, mlir::Value tensor, mlir::Value first, mlir::Value head, mlir::Value end);
  /// The number at a row's channel where `holds`, else 0; `holds` implies that the request has the row.
  mlir::Value element(mlir::OpBuilder &builder, mlir::Location location, mlir::Value tensor, ir::IndexKind rows, mlir::Value row,
                      mlir::Value head, mlir::Value channel, mlir::Value holds);

private:
  /// Whether a tensor of keys or values lies in pages; what a kernel made of such rows does not.
  bool hasPages(mlir::Value tensor);
  mlir::Value start(ir::IndexKind rows) const { return rows == ir::IndexKind::q_idx ? queryStart : keyStart; }
  mlir::Value padded(llvm::StringRef extent, mlir::Location location);

  KernelScope &scope;
  ir::OnlineAttentionOp attention;
  mlir::Value queryStart, keyStart;   ///< of the request
};

/// The size of a query's, key's or value's dimension of heads, the last but one, and as a number where it is one.
inline mlir::Attribute headsOf(ir::AttnTensorType type) { return type.getSizes()[type.getRank() - 2]; }
inline std::optional<int64_t> headCount(ir::AttnTensorType type) { return type.getConstantSize(type.getRank() - 2); }

} // namespace attn
