// Where the rows of each request lie: as many for each request in the layouts bshd and bhsd, one request behind the other
// by prefix sums in `ragged`, and keys in pages in `paged`. Read from the tensors that a launch passes, for the reference
// and for generated inputs; free of LLVM.
#pragma once

#include "attn/Result.h"
#include "dsl/TypedSpec.h"
#include "support/HostTensor.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace attn::dsl {

/// Whether queries of all requests lie in one sequence of rows: layouts `ragged` and `paged`.
bool isInSequence(const Properties &properties);

/// The extents of these layouts beside those of every specification: rows of all queries and keys, pages of the cache, and
/// columns of the page table. A specification that names one in a size means the same number.
inline constexpr const char *kQueryRows = "q_rows", *kKeyRows = "kv_rows", *kPages = "pages", *kRequestPages = "pages_of_request";

/// The dimensions of an input as the caller passes them, of layout bshd for bhsd.
std::vector<SizeExpr> inputDims(const Properties &properties, InputKind input);
/// Those of `out` without the channels, and of a number a row.
std::vector<SizeExpr> outRowDims(const Properties &properties);
std::vector<SizeExpr> rowNumberDims(const Properties &properties);

/// A further input of a layout.
struct LayoutInput {
  std::string name;
  std::vector<SizeExpr> dims;   ///< of i32
  SizeExpr highest;             ///< numbers are from 0 to this
  std::optional<SizeExpr> mostStep = {};   ///< of prefix sums, which ascend: the longest length
  std::string countedBy = {};   ///< of a page table: the lengths of requests, which say how many pages of each count
};
std::vector<LayoutInput> layoutInputs(const Properties &properties);

/// `q_len.2`: the name under which an extent of one request stands among numbers given by name. No name of a specification.
inline std::string lengthName(std::string_view extent, std::int64_t request) {
  return std::string(extent) + "." + std::to_string(request);
}
inline bool isLengthName(std::string_view name) { return name.find('.') != std::string_view::npos; }

struct RequestRows {
  std::int64_t qStart = 0, qLen = 0;     ///< its queries among those of all requests
  std::int64_t kvStart = 0, kvLen = 0;   ///< its keys likewise; in pages there is no start
};

/// The rows of all requests.
struct BatchRows {
  std::vector<RequestRows> requests;
  std::int64_t queries = 0;              ///< rows of all queries
  std::int64_t pageSize = 0;             ///< 0: no pages
  std::int64_t requestPages = 0;         ///< entries of a request in `pageTable`
  std::vector<std::int64_t> pageTable;

  std::int64_t queryRow(std::int64_t b, std::int64_t qIdx) const { return requests[b].qStart + qIdx; }
  /// In the tensor's rows, those of a page one after the other.
  std::int64_t keyRow(std::int64_t b, std::int64_t kvIdx) const {
    if (pageSize == 0)
      return requests[b].kvStart + kvIdx;
    return pageTable[b * requestPages + kvIdx / pageSize] * pageSize + kvIdx % pageSize;
  }
  std::int64_t longestQuery() const, longestKey() const;
};

using TensorsByName = std::map<std::string, HostTensor, std::less<>>;
using ExtentsByName = std::map<std::string, std::int64_t, std::less<>>;

/// From extents and the layout's tensors. Fails where prefix sums descend or reach past the rows, or a page is not there.
Result<BatchRows> batchRows(const TypedSpec &spec, const ExtentsByName &extents, const TensorsByName &tensors);

/// Sets extents that the layout's tensors fix where they are not given: the padded lengths, `batch`, and rows.
Status bindLayoutExtents(const TypedSpec &spec, const TensorsByName &tensors, ExtentsByName &extents);

} // namespace attn::dsl
