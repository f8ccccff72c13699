// See RequestRows.h.
#include "dsl/RequestRows.h"

#include <algorithm>

namespace attn::dsl {

static Status invalid(std::string message) { return {StatusCode::InvalidArgument, std::move(message)}; }

bool isInSequence(const Properties &properties) {
  return properties.layout == LayoutKind::Ragged || properties.layout == LayoutKind::Paged;
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

std::vector<SizeExpr> inputDims(const Properties &properties, InputKind input) {
  SizeExpr channels = SizeExpr::number(input == InputKind::Value ? properties.headDimV : properties.headDim);
  if (input == InputKind::Query) {
    std::vector<SizeExpr> dims = outRowDims(properties);
    dims.push_back(channels);
    return dims;
  }
  switch (properties.layout) {
  case LayoutKind::Ragged:
    return {SizeExpr::name(kKeyRows), properties.kvHeads, channels};
  case LayoutKind::Paged:
    return {SizeExpr::name(kPages), SizeExpr::number(properties.pageSize), properties.kvHeads, channels};
  default:
    return {SizeExpr::name("batch"), SizeExpr::name("kv_len"), properties.kvHeads, channels};
  }
}

std::vector<SizeExpr> outRowDims(const Properties &properties) {
  if (isInSequence(properties))
    return {SizeExpr::name(kQueryRows), properties.qHeads};
  return {SizeExpr::name("batch"), SizeExpr::name("q_len"), properties.qHeads};
}

std::vector<SizeExpr> rowNumberDims(const Properties &properties) {
  if (isInSequence(properties))
    return {SizeExpr::name(kQueryRows), properties.qHeads};
  return {SizeExpr::name("batch"), properties.qHeads, SizeExpr::name("q_len")};
}

std::vector<LayoutInput> layoutInputs(const Properties &properties) {
  SizeExpr batch = SizeExpr::name("batch"), one = SizeExpr::number(1);
  SizeExpr ends = SizeExpr::binary(SizeExpr::Kind::Add, batch, one);
  if (!isInSequence(properties))
    return {};
  std::vector<LayoutInput> inputs{{"cu_seqlens_q", {ends}, SizeExpr::name(kQueryRows), SizeExpr::name("q_len")}};
  if (properties.layout == LayoutKind::Ragged) {
    inputs.push_back({"cu_seqlens_kv", {ends}, SizeExpr::name(kKeyRows), SizeExpr::name("kv_len")});
    return inputs;
  }
  SizeExpr columns = SizeExpr::name(kRequestPages);
  inputs.push_back({"page_table", {batch, columns}, SizeExpr::binary(SizeExpr::Kind::Sub, SizeExpr::name(kPages), one), {}, "kv_lens"});
  inputs.push_back({"kv_lens", {batch}, SizeExpr::binary(SizeExpr::Kind::Mul, columns, SizeExpr::number(properties.pageSize))});
  return inputs;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

template <class Length> static std::int64_t longest(const std::vector<RequestRows> &requests, Length length) {
  std::int64_t most = 0;
  for (const RequestRows &rows : requests)
    most = std::max(most, rows.*length);
  return most;
}

std::int64_t BatchRows::longestQuery() const { return longest(requests, &RequestRows::qLen); }
std::int64_t BatchRows::longestKey() const { return longest(requests, &RequestRows::kvLen); }

/// A tensor of i32 with that many dimensions; null after a message.
static Result<const HostTensor *> layoutTensor(const TensorsByName &tensors, const char *name, std::size_t rank) {
  auto found = tensors.find(name);
  if (found == tensors.end())
    return invalid("no tensor `" + std::string(name) + "` is given");
  if (found->second.shape.size() != rank || found->second.type != ElementType::I32)
    return invalid("`" + std::string(name) + "` is no i32 tensor of " + std::to_string(rank) + " dimensions");
  return &found->second;
}

static Status readPrefixSums(const TensorsByName &tensors, const char *name, std::int64_t batch, std::int64_t RequestRows::*start,
                             std::int64_t RequestRows::*length, std::vector<RequestRows> &requests) {
  Result<const HostTensor *> sums = layoutTensor(tensors, name, 1);
  if (!sums)
    return sums.status();
  if ((*sums)->shape[0] != batch + 1)
    return invalid("`" + std::string(name) + "` has " + std::to_string((*sums)->shape[0]) + " numbers, but there are " +
                   std::to_string(batch) + " requests");
  for (std::int64_t b = 0; b < batch; ++b) {
    auto first = static_cast<std::int64_t>((*sums)->get(b)), end = static_cast<std::int64_t>((*sums)->get(b + 1));
    if (first < 0 || end < first)
      return invalid("`" + std::string(name) + "` must ascend from 0");
    requests[b].*start = first;
    requests[b].*length = end - first;
  }
  return Status::ok();
}

static Status readPages(const TypedSpec &spec, const TensorsByName &tensors, std::int64_t batch, BatchRows &rows) {
  Result<const HostTensor *> table = layoutTensor(tensors, "page_table", 2), lengths = layoutTensor(tensors, "kv_lens", 1);
  if (!table || !lengths)
    return table ? lengths.status() : table.status();
  if ((*table)->shape[0] != batch || (*lengths)->shape[0] != batch)
    return invalid("`page_table` and `kv_lens` do not speak of " + std::to_string(batch) + " requests");
  rows.pageSize = spec.properties.pageSize;
  rows.requestPages = (*table)->shape[1];
  for (std::int64_t i = 0; i < (*table)->elementCount(); ++i)
    rows.pageTable.push_back(static_cast<std::int64_t>((*table)->get(i)));
  for (std::int64_t b = 0; b < batch; ++b) {
    auto length = static_cast<std::int64_t>((*lengths)->get(b));
    if (length < 0 || length > rows.requestPages * rows.pageSize)
      return invalid("`kv_lens` of request " + std::to_string(b) + " is " + std::to_string(length) + ", which its pages do not hold");
    rows.requests[b].kvLen = length;
  }
  return Status::ok();
}

Result<BatchRows> batchRows(const TypedSpec &spec, const ExtentsByName &extents, const TensorsByName &tensors) {
  auto extent = [&](const char *name) {
    auto found = extents.find(name);
    return found == extents.end() ? 0 : found->second;
  };
  std::int64_t batch = extent("batch");
  BatchRows rows;
  rows.requests.resize(static_cast<std::size_t>(batch));
  if (!isInSequence(spec.properties)) {
    std::int64_t qLen = extent("q_len"), kvLen = extent("kv_len");
    for (std::int64_t b = 0; b < batch; ++b)
      rows.requests[b] = {b * qLen, qLen, b * kvLen, kvLen};
    rows.queries = batch * qLen;
    return rows;
  }
  if (Status status = readPrefixSums(tensors, "cu_seqlens_q", batch, &RequestRows::qStart, &RequestRows::qLen, rows.requests); !status)
    return status;
  Status keys = spec.properties.layout == LayoutKind::Paged
                    ? readPages(spec, tensors, batch, rows)
                    : readPrefixSums(tensors, "cu_seqlens_kv", batch, &RequestRows::kvStart, &RequestRows::kvLen, rows.requests);
  if (!keys)
    return keys;
  rows.queries = extent(kQueryRows);
  for (std::int64_t b = 0; b < batch; ++b) {
    const RequestRows &request = rows.requests[b];
    if (request.qStart + request.qLen > rows.queries)
      return invalid("`cu_seqlens_q` reaches past the " + std::to_string(rows.queries) + " rows of `query`");
    if (rows.pageSize == 0 && request.kvStart + request.kvLen > extent(kKeyRows))
      return invalid("`cu_seqlens_kv` reaches past the " + std::to_string(extent(kKeyRows)) + " rows of `key`");
    for (std::int64_t i = 0; rows.pageSize > 0 && i < request.kvLen; i += rows.pageSize)
      if (std::int64_t page = rows.keyRow(b, i) / rows.pageSize; rows.keyRow(b, i) < 0 || page >= extent(kPages))
        return invalid("`page_table` of request " + std::to_string(b) + " names page " + std::to_string(page) + " of " +
                       std::to_string(extent(kPages)));
  }
  return rows;
}

Status bindLayoutExtents(const TypedSpec &spec, const TensorsByName &tensors, ExtentsByName &extents) {
  if (!isInSequence(spec.properties))
    return Status::ok();
  auto sizeOf = [&](const char *tensor, std::size_t dim, const char *extent, std::int64_t less = 0) {
    auto found = tensors.find(tensor);
    if (found != tensors.end() && found->second.shape.size() > dim)
      extents.try_emplace(extent, found->second.shape[dim] - less);
  };
  bool isPaged = spec.properties.layout == LayoutKind::Paged;
  sizeOf("cu_seqlens_q", 0, "batch", 1);
  sizeOf("query", 0, kQueryRows);
  for (const char *name : {"key", "value"})
    sizeOf(name, 0, isPaged ? kPages : kKeyRows);
  if (isPaged)
    sizeOf("page_table", 1, kRequestPages);
  Result<BatchRows> rows = batchRows(spec, extents, tensors);
  if (!rows)
    return rows.status();
  extents.try_emplace("q_len", rows->longestQuery());
  extents.try_emplace("kv_len", rows->longestKey());
  return Status::ok();
}

} // namespace attn::dsl
