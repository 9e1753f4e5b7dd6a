// Tokenizers of Hugging Face folders.
#include "runtime/model/tokenizer/parts.h"
namespace assay {
Result<TokenizerParts> load_hf_tokenizer(const ModelFile&) { return Error{Code::unsupported, "tokenizer.json", "not yet"}; }
}
