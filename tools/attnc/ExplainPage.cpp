// See ExplainPage.h. The picture is a rectangle for each run of tiles of one class in a row, so that a page stays small.
#include "tools/attnc/ExplainPage.h"

#include "attn/Version.h"
#include "runtime/manifest/KernelManifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace attn::tools {

static constexpr std::size_t kMostRows = 256;     ///< of the picture; of more, every n-th is drawn
static constexpr double kLongestSide = 720;       ///< of the picture, in pixels

static constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --ground: #ffffff; --ink: #1c2430; --soft: #5b6675; --line: #d5dbe3;
  --empty: #eef1f5; --partial: #f0a53a; --full: #2f7fd0; --bar: #2f7fd0; --binds: #d9483b; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181f; --ink: #e4e9f0; --soft: #97a3b3; --line: #323a46;
  --empty: #222933; --partial: #d98f2b; --full: #4a97e4; --bar: #4a97e4; --binds: #ef6a5c; } }
body { background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; border-bottom: 1px solid var(--line); margin-top: 2rem; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .2rem .9rem .2rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; } .soft { color: var(--soft); }
pre { background: var(--empty); padding: .8rem; overflow-x: auto; } svg { max-width: 100%; height: auto; }
.empty { fill: var(--empty); } .partial { fill: var(--partial); } .full { fill: var(--full); } .bar { fill: var(--bar); } .binds { fill: var(--binds); }
text { fill: var(--ink); font: 13px system-ui, sans-serif; }
)";

static std::string escaped(std::string_view text) {
  std::string result;
  for (char c : text)
    switch (c) {
    case '&': result += "&amp;"; break;
    case '<': result += "&lt;"; break;
    case '>': result += "&gt;"; break;
    case '"': result += "&quot;"; break;
    default: result += c;
    }
  return result;
}

static std::string cell(std::string_view text, bool isNumber = false) {
  return fmt::format("<td{}>{}</td>", isNumber ? " class=\"number\"" : "", escaped(text));
}

//===----------------------------------------------------------------------===//
// Decisions and kernels
//===----------------------------------------------------------------------===//

/// Remarks begin with their category, `mask: …`.
static std::string decisions(const std::vector<std::string> &remarks) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kCategories = {
      {{"fusion", "Fused"}, {"mask", "Mask"}, {"schedule", "Schedule"}, {"pipeline", "Pipeline"}}};
  std::string rows;
  std::vector<bool> isShown(remarks.size());
  auto show = [&](std::string_view title, std::string_view prefix) {
    for (std::size_t i = 0; i < remarks.size(); ++i) {
      std::string_view remark = remarks[i];
      std::size_t at = prefix.empty() ? 0 : remark.find(prefix);
      if (isShown[i] || at == std::string_view::npos)
        continue;
      isShown[i] = true;
      std::string text = prefix.empty() ? std::string(remark) : std::string(remark.substr(0, at)) + std::string(remark.substr(at + prefix.size()));
      rows += fmt::format("<tr><th>{}</th>{}</tr>\n", title, cell(text));
      title = "";
    }
  };
  for (const auto &[category, title] : kCategories)
    show(title, fmt::format("{}: ", category));
  show("", "");
  return rows.empty() ? "<p>Nothing was decided that is worth a remark.</p>\n" : fmt::format("<table>\n{}</table>\n", rows);
}

static const KernelResources *resourcesOf(const std::optional<AssemblerReport> &assembly, const std::string &kernel) {
  if (!assembly)
    return nullptr;
  auto found = std::find_if(assembly->kernels.begin(), assembly->kernels.end(), [&](const KernelResources &each) { return each.kernel == kernel; });
  return found == assembly->kernels.end() ? nullptr : &*found;
}

static std::string kernels(const ExplainPage &page) {
  std::string rows;
  for (const KernelManifest &kernel : page.plan.manifest.kernels) {
    const KernelResources *resources = resourcesOf(page.assembly, kernel.name);
    rows += fmt::format("<tr>{}{}{}{}{}{}</tr>\n", cell(kernel.name),
                        cell(fmt::format("{} × {} × {}", kernel.grid[0].text(), kernel.grid[1].text(), kernel.grid[2].text())),
                        cell(fmt::format("{}", kernel.threads), true), cell(fmt::format("{}", kernel.sharedBytes), true),
                        cell(resources ? fmt::format("{}", resources->registers) : "—", true),
                        cell(resources ? fmt::format("{}", resources->spillBytes) : "—", true));
  }
  std::string note = page.assembly ? "" : "<p class=\"soft\">ptxas was not found, so registers are not known.</p>\n";
  return fmt::format("<table>\n<tr><th>kernel</th><th>grid</th><th>threads</th><th>shared memory, bytes</th><th>registers a thread</th>"
                     "<th>spilled, bytes</th></tr>\n{}</table>\n{}", rows, note);
}

static std::string schedule(const driver::ScheduleSummary &schedule) {
  return fmt::format("<p>Tiles of {} query rows by {} keys, {} stages of copies, {} warps that multiply.</p>\n", schedule.blockM, schedule.blockN,
                     schedule.stages, schedule.warps);
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

static std::string_view classOf(char tile) { return tile == '#' ? "full" : tile == '+' ? "partial" : "empty"; }

/// Rows of query tiles, columns of key tiles.
static std::string picture(const TileCount &count) {
  const std::size_t columns = count.lines.empty() ? 0 : count.lines.front().size();
  const std::size_t step = (count.lines.size() + kMostRows - 1) / kMostRows;
  if (columns == 0)
    return {};
  const std::size_t rows = (count.lines.size() + step - 1) / step;
  const double side = std::clamp(kLongestSide / static_cast<double>(std::max(columns, rows * step)), 0.5, 24.0), gap = side > 6 ? 1 : 0;
  const double height = side * static_cast<double>(step);
  std::string svg = fmt::format("<svg role=\"img\" aria-label=\"tiles by class\" width=\"{:.1f}\" height=\"{:.1f}\" viewBox=\"0 0 {:.1f} {:.1f}\">\n",
                                side * static_cast<double>(columns), height * static_cast<double>(rows), side * static_cast<double>(columns),
                                height * static_cast<double>(rows));
  for (std::size_t row = 0; row < rows; ++row) {
    const std::string &line = count.lines[row * step];
    for (std::size_t begin = 0, end = 0; begin < columns; begin = end) {
      end = gap > 0 ? begin + 1 : std::min(line.find_first_not_of(line[begin], begin), columns);
      svg += fmt::format("<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>", classOf(line[begin]),
                         side * static_cast<double>(begin), height * static_cast<double>(row), side * static_cast<double>(end - begin) - gap,
                         height - gap);
    }
    svg += '\n';
  }
  svg += "</svg>\n";
  return step > 1 ? fmt::format("<p class=\"soft\">Every {}th row of query tiles.</p>\n{}", step, svg) : svg;
}

static std::string legend(const TileCount &count) {
  auto item = [](std::string_view kind, std::string_view text, std::size_t number) {
    return fmt::format("<tr><td><svg width=\"14\" height=\"14\"><rect class=\"{}\" width=\"14\" height=\"14\"/></svg></td>{}{}</tr>\n", kind, cell(text),
                       cell(fmt::format("{}", number), true));
  };
  return fmt::format("<table>\n{}{}{}</table>\n", item("full", "full: every point is visible, the mask is not evaluated", count.full),
                     item("partial", "partial: the mask is evaluated at each point", count.partial),
                     item("empty", "empty: skipped", count.empty));
}

static std::string tiles(const ExplainPage &page) {
  const auto kvLen = static_cast<std::int64_t>(page.shape.at("kv_len"));
  const TileCount first = countTiles(page.classes.tiles, page.classes.schedule.blockN, kvLen);
  std::string text = "<p>Of one head, at";
  for (const auto &[name, value] : page.shape)
    text += fmt::format(" {} = {}{}", escaped(name), value, name == page.shape.rbegin()->first ? ".</p>\n" : ",");
  if (!page.origins.empty())
    text += fmt::format("<p>The mask reads {}.</p>\n", escaped(page.origins));
  text += legend(first);
  if (!page.classes.others.empty()) {
    TileCount sum = first;
    for (const std::vector<driver::TileRanges> &other : page.classes.others)
      sum += countTiles(other, page.classes.schedule.blockN, kvLen);
    text += fmt::format("<p>Tiles differ between {} requests or heads; of all together {} are full, {} partial and {} empty. The picture is of the first.</p>\n",
                        page.classes.others.size() + 1, sum.full, sum.partial, sum.empty);
  }
  return text + picture(first);
}

//===----------------------------------------------------------------------===//
// Bounds
//===----------------------------------------------------------------------===//

/// Bytes of all inputs and outputs.
static double tensorBytes(const ExplainPage &page) {
  auto extent = [&](std::string_view name) -> std::optional<std::int64_t> {
    auto found = page.shape.find(std::string(name));
    return found == page.shape.end() ? std::nullopt : std::optional(static_cast<std::int64_t>(found->second));
  };
  double bytes = 0;
  for (const TensorArgument &tensor : page.plan.manifest.tensors) {
    double elements = tensor.role == ArgumentRole::Workspace ? 0 : 1;
    for (const SizeExpr &size : tensor.dims)
      elements *= static_cast<double>(size.evaluate(extent).value_or(1));
    bytes += elements * storageBits(tensor.type) / 8;
  }
  return bytes;
}

/// What the shape alone says: products, one exponential a point, and each tensor's bytes once.
static Roofline boundsOfShape(const ExplainPage &page) {
  const driver::ScheduleSummary &schedule = page.classes.schedule;
  TileCount count = countTiles(page.classes.tiles, schedule.blockN, static_cast<std::int64_t>(page.shape.at("kv_len")));
  for (const std::vector<driver::TileRanges> &other : page.classes.others)
    count += countTiles(other, schedule.blockN, static_cast<std::int64_t>(page.shape.at("kv_len")));
  const double visible = std::max<double>(1, static_cast<double>((count.full + count.partial) * static_cast<std::size_t>(page.classes.copies)));
  UnitWork work;
  work.tensorMacs = page.tileMacs;
  work.specialLanes = static_cast<double>(schedule.blockM * schedule.blockN);
  work.memoryBytes = tensorBytes(page) / visible;
  return rooflineOf(work, *page.machine);
}

static std::string bars(const Roofline &roofline) {
  constexpr double kBar = 420, kStep = 24;
  std::string rows;
  double y = 0;
  for (const UnitClocks &unit : roofline.units) {
    if (unit.clocks <= 0)
      continue;
    rows += fmt::format("<text x=\"0\" y=\"{:.0f}\">{}</text><rect class=\"{}\" x=\"80\" y=\"{:.0f}\" width=\"{:.1f}\" height=\"14\"/>"
                        "<text x=\"{:.1f}\" y=\"{:.0f}\">{:.1f}</text>\n",
                        y + 12, unit.unit, unit.unit == roofline.binding.unit ? "binds" : "bar", y, kBar * unit.clocks / roofline.floor,
                        88 + kBar * unit.clocks / roofline.floor, y + 12, unit.clocks);
    y += kStep;
  }
  return fmt::format("<svg role=\"img\" aria-label=\"clocks by unit\" width=\"600\" height=\"{0:.0f}\" viewBox=\"0 0 600 {0:.0f}\">\n{1}</svg>\n", y, rows);
}

static std::string bounds(const ExplainPage &page) {
  if (!page.machine || (page.tileMacs == 0 && !page.counted))
    return {};
  const Roofline roofline = page.counted ? *page.counted : boundsOfShape(page);
  std::string_view origin = page.counted ? "counted on the virtual GPU"
                                         : "by the shape alone: products, one exponential a point, each tensor's bytes once; "
                                           "<code>--counters</code> counts what is executed";
  return fmt::format("<h2>Roofline</h2>\n<p>Clocks that a multiprocessor of {} needs for a visible tile, by unit, {}. These are bounds, not times: the {} "
                     "binds, at {:.1f} clocks.</p>\n{}",
                     escaped(page.machine->name), origin, roofline.binding.unit, roofline.floor, bars(roofline));
}

std::string htmlOf(const ExplainPage &page) {
  const PlanManifest &manifest = page.plan.manifest;
  std::string launch = page.launch.empty() ? "" : fmt::format("<p>{}</p>\n", escaped(page.launch));
  std::string source = manifest.specSource.empty() ? "" : fmt::format("<pre>{}</pre>\n", escaped(manifest.specSource));
  return fmt::format("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n"
                     "<title>{0} for {1}</title>\n<style>{2}</style>\n</head>\n<body>\n<h1>{0} <span class=\"soft\">for {1}</span></h1>\n{3}"
                     "<h2>Decisions</h2>\n{4}<h2>Kernels</h2>\n{5}{6}{7}<h2>Tiles</h2>\n{8}{9}<p class=\"soft\">attnc {10}</p>\n</body>\n</html>\n",
                     escaped(manifest.name), escaped(manifest.target), kStyle, source, decisions(page.plan.remarks), schedule(page.classes.schedule),
                     kernels(page), launch, tiles(page), bounds(page), ATTN_VERSION);
}

} // namespace attn::tools
