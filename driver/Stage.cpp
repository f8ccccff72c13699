#include "driver/Stage.h"

namespace attn::driver {

namespace {
struct StageRow {
  Stage stage;
  std::string_view name, extension;
  bool readsBack, isText;
};
} // namespace

static constexpr std::array<StageRow, 10> kStages = {{
    {Stage::Source, "source", ".attn", false, true},
    {Stage::Ast, "ast", ".ast", false, true},
    {Stage::Attn, "attn", ".attn.mlir", true, true},
    {Stage::Tile, "tile", ".tile.mlir", true, true},
    {Stage::Nvvm, "nvvm", ".nvvm.mlir", true, true},
    {Stage::Llvm, "llvm", ".ll", true, true},
    {Stage::Ptx, "ptx", ".ptx", true, true},
    {Stage::Cubin, "cubin", ".cubin", false, false},
    {Stage::Package, "package", ".pkg", false, false},
    {Stage::Header, "header", ".h", false, true},
}};

static const StageRow &row(Stage stage) { return kStages[static_cast<std::size_t>(stage)]; }

std::string_view spelling(Stage stage) { return row(stage).name; }
std::string_view extension(Stage stage) { return row(stage).extension; }
bool readsBack(Stage stage) { return row(stage).readsBack; }
bool isText(Stage stage) { return row(stage).isText; }

std::optional<Stage> parseStage(std::string_view text) {
  for (const StageRow &candidate : kStages)
    if (candidate.name == text && candidate.stage != Stage::Source)
      return candidate.stage;
  return std::nullopt;
}

std::string stageList(bool (*accept)(Stage)) {
  std::string list;
  for (const StageRow &candidate : kStages)
    if (candidate.stage != Stage::Source && accept(candidate.stage))
      list += (list.empty() ? "" : ", ") + std::string(candidate.name);
  return list;
}

} // namespace attn::driver
