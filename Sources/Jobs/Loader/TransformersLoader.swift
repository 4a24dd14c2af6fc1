import Checkpoints
import Foundation
import MatrixCore
import Safetensors

/// The loader for the transformers library that lies in a compressed folder.
///
/// `AutoModelForCausalLM.from_pretrained(FOLDER, trust_remote_code=True)` finds it by `auto_map` of config.json. The
/// code depends on the family, and on how the source names experts and head, alone: which modules are compressed, and
/// how, it reads from config.json. So any job that keeps both files keeps a folder that opens.
struct TransformersLoader {
    let family: LoaderFamily
    private let experts: ExpertNames?
    private let head: String?

    /// nil for families that the library, or this program, does not know by name.
    init?(_ checkpoint: Checkpoint) {
        guard let family = checkpoint.modelType.flatMap(LoaderFamily.named) else { return nil }
        self.family = family
        experts = ExpertNames(tensors: checkpoint.tensors.lazy.map(\.name))
        head = checkpoint.configTiesHead ? nil : checkpoint.tensors.first { $0.role == .head }?.module
    }

    /// `auto_map` of config.json.
    var autoMap: JSON {
        let module = family.file.dropLast(".py".count)
        var map: JSONObject = ["AutoConfig": JSON("\(module).\(family.configuration)")]
        for (auto, name) in family.classes { map[auto] = JSON("\(module).\(name)") }
        return .object(map)
    }

    var code: String { LoaderCode.text(for: family, experts: experts, head: head) }

    func write(to folder: String) throws {
        try StagedFile.write(code, as: family.file, in: folder)
    }
}
