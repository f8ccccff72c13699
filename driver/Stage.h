// The stages of a compilation, their names on the command line and their file extensions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace attn::driver {

/// In order. Each can be printed (`--emit`); all from `Attn` to `Llvm` read back (`--from`).
enum class Stage : std::uint8_t { Source, Ast, Attn, Tile, Nvvm, Llvm, Ptx, Cubin, Package, Header };

std::string_view spelling(Stage stage);                      ///< `attn`, `ptx`, …
std::string_view extension(Stage stage);                     ///< `.attn.mlir`, `.ptx`, …
std::optional<Stage> parseStage(std::string_view text);
bool readsBack(Stage stage);                                 ///< may stand after `--from`
bool isText(Stage stage);                                    ///< false: cubin, package
/// "ast, attn, tile, …" of the stages for which `accept` holds, for messages.
std::string stageList(bool (*accept)(Stage));

} // namespace attn::driver
