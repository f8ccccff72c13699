#include "tools/attnc/RequestLengths.h"

#include "dsl/RequestRows.h"
#include "tools/attnc/Inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

namespace attn::tools {

static Status invalid(std::string message) { return Status(StatusCode::InvalidArgument, std::move(message)); }

Status addLengths(const std::string &extent, const std::string &text, std::map<std::string, double> &values) {
  if (extent != "q_len" && extent != "kv_len")
    return invalid(fmt::format("`{}` is one number; `q_len` and `kv_len` may differ by request", extent));
  std::vector<double> lengths;
  for (std::size_t at = 0; at <= text.size();) {
    std::size_t slash = std::min(text.find('/', at), text.size());
    std::int32_t length = 0;
    auto [next, error] = std::from_chars(text.data() + at, text.data() + slash, length);
    if (error != std::errc() || next != text.data() + slash || length < 0)
      return invalid(fmt::format("`{}={}`: expects lengths such as 5/1/7", extent, text));
    lengths.push_back(length);
    at = slash + 1;
  }
  auto [batch, isNew] = values.emplace("batch", static_cast<double>(lengths.size()));
  if (!isNew && batch->second != static_cast<double>(lengths.size()))
    return invalid(fmt::format("`{}={}` are lengths of {} requests, but there are {}", extent, text, lengths.size(), batch->second));
  for (std::size_t b = 0; b < lengths.size(); ++b)
    values[dsl::lengthName(extent, static_cast<std::int64_t>(b))] = lengths[b];
  values[extent] = *std::max_element(lengths.begin(), lengths.end());
  return {};
}

/// Of prefix sums.
static double longestStep(const HostTensor &sums) {
  double longest = 0;
  for (std::int64_t i = 1; i < sums.elementCount(); ++i)
    longest = std::max(longest, sums.get(i) - sums.get(i - 1));
  return longest;
}

static double largest(const HostTensor &tensor) {
  double most = 0;
  for (std::int64_t i = 0; i < tensor.elementCount(); ++i)
    most = std::max(most, tensor.get(i));
  return most;
}

void addLongestLengths(const PlanManifest &manifest, PlanInputs &inputs) {
  std::set<std::string> extents = extentNames(manifest);
  auto add = [&](const char *extent, const char *tensor, double (*longest)(const HostTensor &)) {
    auto found = inputs.tensors.find(tensor);
    if (extents.contains(extent) && manifest.tensor(tensor) && found != inputs.tensors.end())
      inputs.values.emplace(extent, longest(found->second));
  };
  add("q_len", "cu_seqlens_q", longestStep);
  add("kv_len", "cu_seqlens_kv", longestStep);
  add("kv_len", "kv_lens", largest);
}

} // namespace attn::tools
