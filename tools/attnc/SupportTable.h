// The support table: each feature of the language with each target, precision and layout, compiled, not asserted.
#pragma once

#include "driver/Stage.h"

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attn::tools {

/// A row: SupportFeatures.def.
struct SupportFeature {
  std::string_view group, name, parameters, statements;
  std::string_view schedule = {}; ///< what is asked for beside the specification
};
/// A column: the name in the table and the properties that make it.
struct SupportPrecision {
  std::string_view name, properties;
  bool setsOutput = false; ///< also sets `out_dtype`, where the row does not
};

std::span<const SupportFeature> supportFeatures();
std::span<const SupportPrecision> supportPrecisions();
/// `bshd`, `paged`, …
std::vector<std::string> supportLayoutNames();

/// The features with one precision on one target in one layout.
struct SupportColumn {
  std::string target, layout;
  const SupportPrecision *precision;
  std::vector<std::string> refusals; ///< a feature each; empty: compiled
};

/// What to compile: an empty list means all.
struct SupportSelection {
  std::vector<std::string> targets, layouts;
};

/// The specification of one cell.
std::string supportCell(const SupportFeature &feature, const SupportPrecision &precision, std::string_view layout);

/// Compiles every selected cell as far as `stage` (`Tile`, where the last refusal is made, or `Ptx`) on all cores.
/// `onColumn` is called after each column, from any thread but never from two at once.
std::vector<SupportColumn> compileSupport(const SupportSelection &selection, driver::Stage stage,
                                          const std::function<void()> &onColumn = {});
/// Compiles the cells that are refused, or warned of, again as far as `stage`.
void recompileRefused(std::vector<SupportColumn> &columns, driver::Stage stage);
/// How many columns a selection has.
std::size_t countSupportColumns(const SupportSelection &selection);

/// docs/targets.md of all columns.
std::string supportPage(std::span<const SupportColumn> columns);
/// The page as it was when this program was built.
std::string_view committedSupportPage();

} // namespace attn::tools
