// Compiles the cells of the support table.
#include "tools/attnc/SupportTable.h"

#include "driver/Compiler.h"
#include "support/GpuTarget.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

namespace attn::tools {

static constexpr SupportFeature kFeatures[] = {
#define FEATURE(group, name, parameters, statements) {group, name, parameters, statements},
#define SPLIT(name, parameters, statements) {"keys split among blocks", name, parameters, statements, "split=1"},
#include "tools/attnc/SupportFeatures.def"
#undef SPLIT
#undef FEATURE
};

static constexpr SupportPrecision kPrecisions[] = {
    {"f16", "dtype: f16"},
    {"bf16", "dtype: bf16"},
    {"f32", "dtype: f32"},
    {"f64", "dtype: f64"},
    {"bf16, cache e4m3", "dtype: bf16\nkey_dtype: e4m3\nvalue_dtype: e4m3"},
    {"e4m3", "dtype: e4m3", true},
    {"e5m2", "dtype: e5m2", true},
};

static constexpr std::string_view kLayouts[] = {"bshd", "bhsd", "ragged", "paged(64)"};

std::span<const SupportFeature> supportFeatures() { return kFeatures; }
std::span<const SupportPrecision> supportPrecisions() { return kPrecisions; }

static std::string_view nameOfLayout(std::string_view layout) { return layout.substr(0, layout.find('(')); }

std::vector<std::string> supportLayoutNames() {
  std::vector<std::string> names;
  for (std::string_view layout : kLayouts)
    names.emplace_back(nameOfLayout(layout));
  return names;
}

std::string supportCell(const SupportFeature &feature, const SupportPrecision &precision, std::string_view layout) {
  auto sets = [&](std::string_view property) { return feature.statements.find(property) != std::string_view::npos; };
  std::string text = fmt::format("attention cell({}) {{\nlayout: {}\n{}\n", feature.parameters, layout, precision.properties);
  if (!sets("head_dim:"))
    text += "head_dim: 64\n";
  if (!sets("kv_heads:"))
    text += "q_heads: 4\nkv_heads: 2\n";
  if (precision.setsOutput && !sets("out_dtype:"))
    text += "out_dtype: bf16\n";
  return text + fmt::format("{}\n}}\n", feature.statements);
}

/// The first error, or warning, without its place, notes and the target's name, which the table's column says.
static std::string reason(std::string text, std::string_view target) {
  for (std::string_view kind : {"error: ", "warning: "})
    if (std::size_t start = text.find(kind); start != std::string::npos)
      text = text.substr(start + kind.size());
  text = text.substr(0, text.find('\n'));
  auto replaceAll = [&](const std::string &what, std::string_view with) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
      text.replace(at, what.size(), with);
  };
  replaceAll(fmt::format(" on {}", target), "");
  replaceAll(std::string(target), "the target");
  return text;
}

static std::vector<SupportColumn> selectedColumns(const SupportSelection &selection) {
  auto isSelected = [](const std::vector<std::string> &names, std::string_view name) {
    return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
  };
  std::vector<SupportColumn> columns;
  for (std::string_view layout : kLayouts)
    for (const GpuTarget &target : gpuTargets())
      if (target.isCompiled && isSelected(selection.layouts, nameOfLayout(layout)) && isSelected(selection.targets, target.name))
        for (const SupportPrecision &precision : kPrecisions)
          columns.push_back({std::string(target.name), std::string(layout), &precision, {}});
  return columns;
}

std::size_t countSupportColumns(const SupportSelection &selection) { return selectedColumns(selection).size(); }

static std::string compileCell(const SupportColumn &column, const SupportFeature &feature, driver::Stage stage) {
  driver::CompileRequest request;
  request.source = supportCell(feature, *column.precision, column.layout);
  request.fileName = "cell";
  request.target = column.target;
  request.schedule = feature.schedule;
  std::string warnings; // of what is left out
  Result<std::string> text = driver::emitStage(request, stage, &warnings);
  return reason(text ? warnings : text.status().message(), column.target);
}

static void compileColumn(SupportColumn &column, driver::Stage stage) {
  for (const SupportFeature &feature : kFeatures)
    column.refusals.push_back(compileCell(column, feature, stage));
}

/// On all cores.
static void forEachColumn(std::vector<SupportColumn> &columns, const std::function<void(SupportColumn &)> &compile) {
  std::atomic<std::size_t> next = 0;
  auto work = [&] {
    for (std::size_t index = next++; index < columns.size(); index = next++)
      compile(columns[index]);
  };
  std::vector<std::thread> threads(std::max(1u, std::thread::hardware_concurrency()));
  for (std::thread &thread : threads)
    thread = std::thread(work);
  for (std::thread &thread : threads)
    thread.join();
}

std::vector<SupportColumn> compileSupport(const SupportSelection &selection, driver::Stage stage, const std::function<void()> &onColumn) {
  std::vector<SupportColumn> columns = selectedColumns(selection);
  std::mutex reporting;
  forEachColumn(columns, [&](SupportColumn &column) {
    compileColumn(column, stage);
    std::lock_guard lock(reporting);
    if (onColumn)
      onColumn();
  });
  return columns;
}

void recompileRefused(std::vector<SupportColumn> &columns, driver::Stage stage) {
  forEachColumn(columns, [&](SupportColumn &column) {
    for (std::size_t row = 0; row < std::size(kFeatures); ++row)
      if (!column.refusals[row].empty())
        column.refusals[row] = compileCell(column, kFeatures[row], stage);
  });
}

} // namespace attn::tools
