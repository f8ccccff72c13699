// The words of the manifest's JSON, one place for writer and parser.
#pragma once

#include "runtime/manifest/KernelManifest.h"

#include <array>
#include <string_view>
#include <utility>

namespace attn::manifest {

inline constexpr int kFormat = 1;

inline constexpr std::array<std::pair<std::string_view, ArgumentRole>, 3> kRoles = {
    {{"input", ArgumentRole::Input}, {"output", ArgumentRole::Output}, {"workspace", ArgumentRole::Workspace}}};

inline constexpr std::array<std::pair<std::string_view, KernelParam::Kind>, 5> kParamKinds = {
    {{"pointer", KernelParam::Kind::Pointer},
     {"stride", KernelParam::Kind::Stride},
     {"extent", KernelParam::Kind::Extent},
     {"scalar", KernelParam::Kind::Scalar},
     {"tensor_map", KernelParam::Kind::TensorMap}}};

inline constexpr std::array<std::pair<std::string_view, KernelUse>, 5> kUses = {{{"always", KernelUse::Always},
                                                                                 {"whole", KernelUse::Whole},
                                                                                 {"few_rows", KernelUse::FewRows},
                                                                                 {"merge", KernelUse::Merge},
                                                                                 {"ahead", KernelUse::Ahead}}};

/// The word for `value` in one of the tables above.
template <typename Table, typename Value> constexpr std::string_view wordFor(const Table &table, Value value) {
  for (const auto &[word, meaning] : table)
    if (meaning == value)
      return word;
  return {};
}

} // namespace attn::manifest
