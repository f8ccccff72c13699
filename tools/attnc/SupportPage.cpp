// The support table as a page of text that reads well on a terminal too. Targets and layouts with the same cells share a
// table, and what holds of all features stands in a sentence above it.
#include "tools/attnc/SupportTable.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace attn::tools {

namespace {

/// All precisions of one target in one layout, or of several that agree.
struct Table {
  std::vector<std::string> targets, layouts;
  std::vector<const SupportColumn *> columns;
};

/// Reasons by number, in order of their first use.
class Reasons {
public:
  std::size_t number(const std::string &reason) {
    auto at = std::find(texts.begin(), texts.end(), reason);
    if (at == texts.end())
      at = texts.insert(at, reason);
    return static_cast<std::size_t>(at - texts.begin()) + 1;
  }
  std::vector<std::string> texts;
};

} // namespace

static void addOnce(std::vector<std::string> &names, const std::string &name) {
  if (std::find(names.begin(), names.end(), name) == names.end())
    names.push_back(name);
}

static bool haveSameCells(const Table &table, std::span<const SupportColumn> columns) {
  for (std::size_t i = 0; i < columns.size(); ++i)
    if (table.columns[i]->refusals != columns[i].refusals)
      return false;
  return true;
}

/// Tables that agree for the same targets, or in the same layout, become one.
static std::vector<Table> groupTables(std::span<const SupportColumn> columns) {
  const std::size_t precisions = supportPrecisions().size();
  std::vector<Table> rows; // of one layout each
  for (std::size_t first = 0; first < columns.size(); first += precisions) {
    std::span<const SupportColumn> part = columns.subspan(first, precisions);
    auto same = std::find_if(rows.begin(), rows.end(), [&](const Table &table) {
      return table.layouts.front() == part.front().layout && haveSameCells(table, part);
    });
    if (same == rows.end()) {
      same = rows.insert(rows.end(), Table{{}, {part.front().layout}, {}});
      for (const SupportColumn &column : part)
        same->columns.push_back(&column);
    }
    addOnce(same->targets, part.front().target);
  }
  std::vector<Table> tables;
  for (Table &row : rows) {
    auto same = std::find_if(tables.begin(), tables.end(), [&](const Table &table) {
      return table.targets == row.targets &&
             std::equal(table.columns.begin(), table.columns.end(), row.columns.begin(),
                        [](const SupportColumn *a, const SupportColumn *b) { return a->refusals == b->refusals; });
    });
    if (same == tables.end())
      tables.push_back(std::move(row));
    else
      addOnce(same->layouts, row.layouts.front());
  }
  return tables;
}

/// The refusal that all cells of a column share; empty if they do not.
static std::string commonRefusal(const SupportColumn &column) {
  const std::string &first = column.refusals.front();
  bool isCommon = std::all_of(column.refusals.begin(), column.refusals.end(), [&](const std::string &other) { return other == first; });
  return isCommon ? first : "";
}

static void writeRows(std::string &page, std::span<const SupportColumn *const> columns, Reasons &reasons) {
  page += fmt::format("| {:28} |", "");
  for (const SupportColumn *column : columns)
    page += fmt::format(" {:>6} |", column->precision->name);
  page += fmt::format("\n|{:-<30}|", "");
  for (const SupportColumn *column : columns)
    page += fmt::format("{:->{}}:|", "", std::max<std::size_t>(column->precision->name.size(), 6) + 1);
  page += "\n";
  std::string_view group;
  for (std::size_t row = 0; row < supportFeatures().size(); ++row) {
    const SupportFeature &feature = supportFeatures()[row];
    if (feature.group != group) {
      group = feature.group;
      page += fmt::format("| {:28} |", fmt::format("**{}**", group));
      for (const SupportColumn *column : columns)
        page += fmt::format(" {:>{}} |", "", std::max<std::size_t>(column->precision->name.size(), 6));
      page += "\n";
    }
    page += fmt::format("| {:28} |", feature.name);
    for (const SupportColumn *column : columns) {
      const std::string &refusal = column->refusals[row];
      page += fmt::format(" {:>{}} |", refusal.empty() ? "yes" : fmt::format("({})", reasons.number(refusal)),
                          std::max<std::size_t>(column->precision->name.size(), 6));
    }
    page += "\n";
  }
}

static void writeTable(std::string &page, const Table &table, Reasons &reasons) {
  page += fmt::format("\n## {}: {}\n\n", fmt::join(table.targets, ", "), fmt::join(table.layouts, ", "));
  std::vector<const SupportColumn *> mixed;
  std::vector<std::pair<std::string, std::vector<std::string>>> refused; // reason, precisions
  for (const SupportColumn *column : table.columns) {
    std::string refusal = commonRefusal(*column);
    if (refusal.empty()) {
      mixed.push_back(column);
      continue;
    }
    auto same = std::find_if(refused.begin(), refused.end(), [&](const auto &entry) { return entry.first == refusal; });
    if (same == refused.end())
      same = refused.insert(refused.end(), {refusal, {}});
    same->second.emplace_back(column->precision->name);
  }
  for (const auto &[refusal, precisions] : refused) {
    bool isAll = precisions.size() == table.columns.size();
    page += isAll ? fmt::format("Refused: {}.\n", refusal)
                  : fmt::format("{}: refused, {}.\n", fmt::join(precisions, "; "), refusal);
  }
  if (mixed.empty())
    return;
  if (!refused.empty())
    page += "\n";
  writeRows(page, mixed, reasons);
}

std::string supportPage(std::span<const SupportColumn> columns) {
  std::string page = "<!-- Written by `attnc targets --page`; a test compares it with what is compiled. -->\n"
                     "# What is supported\n\n"
                     "Each cell is a specification that uses that feature, compiled: \"yes\", or the number of the reason for which it is refused.\n"
                     "`attnc targets --verify` compiles all of them to PTX again. A \"cache\" holds key and value.\n";
  Reasons reasons;
  for (const Table &table : groupTables(columns))
    writeTable(page, table, reasons);
  if (!reasons.texts.empty())
    page += "\n## Reasons\n\n";
  for (std::size_t i = 0; i < reasons.texts.size(); ++i)
    page += fmt::format("{}. {}\n", i + 1, reasons.texts[i]);
  return page;
}

} // namespace attn::tools
