// See RandomLayout.h.
#include "dsl/RandomLayout.h"

#include "dsl/RandomNumbers.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

namespace attn::dsl {

/// Pages of the cache that no request uses.
static constexpr std::int64_t kSparePages = 2;

static std::int64_t lengthOf(const ExtentsByName &extents, const char *extent, std::int64_t request) {
  auto own = extents.find(lengthName(extent, request));
  return own != extents.end() ? own->second : extents.find(extent)->second;
}

static std::int64_t pagesFor(const TypedSpec &spec, std::int64_t length) {
  return (length + spec.properties.pageSize - 1) / spec.properties.pageSize;
}

void giveLengths(const TypedSpec &spec, ExtentsByName &extents) {
  if (!isInSequence(spec.properties))
    return;
  std::int64_t batch = extents.find("batch")->second, keyRows = 0, pages = 0;
  for (const char *extent : {"q_len", "kv_len"}) {
    std::int64_t sum = 0, most = 0;
    for (std::int64_t b = 0; b < batch; ++b) {
      std::int64_t length = lengthOf(extents, extent, b);
      extents.insert_or_assign(lengthName(extent, b), length);
      sum += length;
      most = std::max(most, length);
      if (extent == std::string_view("kv_len") && spec.properties.layout == LayoutKind::Paged)
        pages += pagesFor(spec, length);
    }
    extents.insert_or_assign(extent, most);
    if (extent == std::string_view("q_len"))
      extents.try_emplace(kQueryRows, sum);
    keyRows = sum;
  }
  if (spec.properties.layout == LayoutKind::Ragged) {
    extents.try_emplace(kKeyRows, keyRows);
    return;
  }
  extents.try_emplace(kPages, pages + kSparePages);
  extents.try_emplace(kRequestPages, std::max<std::int64_t>(1, pagesFor(spec, extents.find("kv_len")->second)));
}

static HostTensor prefixSums(const ExtentsByName &extents, const char *extent) {
  std::int64_t batch = extents.find("batch")->second, sum = 0;
  HostTensor sums(ElementType::I32, {batch + 1});
  for (std::int64_t b = 0; b < batch; ++b) {
    sum += lengthOf(extents, extent, b);
    sums.set(b + 1, static_cast<double>(sum));
  }
  return sums;
}

static void addPages(const TypedSpec &spec, const ExtentsByName &extents, std::uint64_t seed, TensorsByName &tensors) {
  std::int64_t batch = extents.find("batch")->second, pages = extents.find(kPages)->second, columns = extents.find(kRequestPages)->second;
  std::vector<std::int64_t> order(static_cast<std::size_t>(pages));
  std::iota(order.begin(), order.end(), 0);
  Random random(seed ^ hashOf("page_table"));
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[static_cast<std::size_t>(random.integer(0, static_cast<double>(i - 1)))]);
  HostTensor table(ElementType::I32, {batch, columns}), lengths(ElementType::I32, {batch});
  std::size_t next = 0;
  for (std::int64_t b = 0; b < batch; ++b) {
    std::int64_t length = lengthOf(extents, "kv_len", b), used = pagesFor(spec, length);
    lengths.set(b, static_cast<double>(length));
    for (std::int64_t i = 0; i < columns; ++i)
      table.set(b * columns + i, i < used ? static_cast<double>(order[next++]) : -1);
  }
  tensors.insert_or_assign("page_table", std::move(table));
  tensors.insert_or_assign("kv_lens", std::move(lengths));
}

static void poisonRows(HostTensor &tensor, const std::vector<bool> &isOwned) {
  std::int64_t width = tensor.shape[tensor.shape.size() - 2] * tensor.shape.back();
  for (std::size_t row = 0; row < isOwned.size(); ++row)
    for (std::int64_t i = 0; !isOwned[row] && i < width; ++i)
      tensor.set(static_cast<std::int64_t>(row) * width + i, std::numeric_limits<double>::quiet_NaN());
}

void addLayoutTensors(const TypedSpec &spec, const ExtentsByName &extents, std::uint64_t seed, TensorsByName &tensors) {
  if (!isInSequence(spec.properties))
    return;
  tensors.insert_or_assign("cu_seqlens_q", prefixSums(extents, "q_len"));
  if (spec.properties.layout == LayoutKind::Paged)
    addPages(spec, extents, seed, tensors);
  else
    tensors.insert_or_assign("cu_seqlens_kv", prefixSums(extents, "kv_len"));
  Result<BatchRows> rows = batchRows(spec, extents, tensors);
  if (!rows)
    return; // extents that do not fit: whoever evaluates says so
  std::int64_t keyRows = rows->pageSize > 0 ? extents.find(kPages)->second * rows->pageSize : extents.find(kKeyRows)->second;
  std::vector<bool> isOwned(static_cast<std::size_t>(keyRows));
  for (std::size_t b = 0; b < rows->requests.size(); ++b)
    for (std::int64_t i = 0; i < rows->requests[b].kvLen; ++i)
      isOwned[static_cast<std::size_t>(rows->keyRow(static_cast<std::int64_t>(b), i))] = true;
  for (const char *name : {"key", "value"})
    if (auto found = tensors.find(name); found != tensors.end())
      poisonRows(found->second, isOwned);
}

std::vector<EvaluationInput> hostileBatches(const TypedSpec &spec) {
  using Lengths = std::vector<std::pair<std::int64_t, std::int64_t>>;   // queries and keys of each request
  static const Lengths kBatches[] = {
      {{5, 5}, {1, 1}, {7, 7}}, {{1, 77}, {1, 1}, {1, 130}, {1, 64}}, {{130, 130}, {64, 64}, {1, 1}, {63, 65}},
      {{0, 20}, {9, 0}, {12, 33}, {0, 0}}, {{3, 300}, {100, 40}}, {{65, 200}},
  };
  const Properties &properties = spec.properties;
  std::vector<EvaluationInput> inputs;
  for (const Lengths &batch : kBatches) {
    EvaluationInput input;
    input.extents["batch"] = static_cast<std::int64_t>(batch.size());
    for (std::size_t b = 0; b < batch.size(); ++b) {
      input.extents[lengthName("q_len", static_cast<std::int64_t>(b))] = batch[b].first;
      input.extents[lengthName("kv_len", static_cast<std::int64_t>(b))] = batch[b].second;
    }
    if (properties.qHeads.asName() == "q_heads" && properties.kvHeads.asName() == "kv_heads")
      input.extents["kv_heads"] = inputs.size() % 2 == 0 ? 1 : 2;
    inputs.push_back(std::move(input));
  }
  return inputs;
}

} // namespace attn::dsl
