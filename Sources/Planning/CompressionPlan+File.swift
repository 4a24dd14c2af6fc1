import Checkpoints
import CompressionCore
import Safetensors

extension CompressionPlan {
    /// plan.json: `PlanFile` reads it back, and it gives the same bytes.
    ///
    /// Ranks are written where shapes decide them, so that a person can change them; otherwise what decides them.
    public func file(for checkpoint: Checkpoint) throws -> JSON {
        var document: JSON = [
            "plan_version": JSON(PlanFile.version),
            "source": [
                "fingerprint": JSON(try checkpoint.fingerprint()), "parameters": JSON(checkpoint.parameterCount),
                "bytes": JSON(checkpoint.byteCount),
            ],
            "target": JSON("\(target)"),
        ]
        let storages = Set(groups.map(\.settings.storage))
        if method != "mixed" { document["method"] = JSON(method) }
        if storages.count == 1, let storage = storages.first { document["storage"] = JSON(storage.rawValue) }
        if isKnownFromShapes { document["totals"] = try totals(of: checkpoint) }
        var compressed = JSONObject(), dense = JSONObject()
        for group in groups {
            for planned in group.modules {
                if let reason = planned.size?.keptDense {
                    dense[planned.module.name] = JSON(reason)
                } else {
                    compressed[planned.module.name] = .object(entry(of: planned, in: group))
                }
            }
        }
        document["modules"] = .object(compressed)
        document["kept_dense"] = .object(dense)
        return document
    }

    private func totals(of checkpoint: Checkpoint) throws -> JSON {
        let inventory = try OutputInventory(checkpoint)
        let dense = groups.reduce(0) { $0 + $1.denseParameters }
        return [
            "parameters": JSON(inventory.parameters(of: self)), "file_bytes": JSON(try inventory.fileBytes(of: self)),
            "keep_compressed": JSON(Double(inventory.parameters(ofSelected: self)) / Double(max(dense, 1))),
            "keep_model": JSON(Double(inventory.parameters(of: self)) / Double(max(checkpoint.denseParameterCount, 1))),
        ]
    }

    private func entry(of planned: PlannedModule, in group: PlannedGroup) -> JSONObject {
        var entry = JSONObject()
        entry["method"] = JSON(group.method)
        entry["storage"] = JSON(group.settings.storage.rawValue)
        let type = Swift.type(of: group.compressor)
        let ranks = planned.size?.entry["ranks"]?.array?.compactMap(\.int) ?? []
        var options = group.settings.values
        if let rank = planned.size?.entry["rank"] {
            entry["rank"] = rank
        } else if let stated = type.sizeOptions(ranks: ranks) {
            entry["ranks"] = planned.size?.entry["ranks"]
            for name in stated.keys { options[name] = nil }
        } else {
            switch group.budget {
            case .keep(let fraction): entry["keep"] = JSON(fraction)
            case .rank(let rank): entry["rank"] = JSON(rank)
            case .energy(let share): entry["energy"] = JSON(share)
            case .error(let bound): entry["max_error"] = JSON(bound)
            case .options: break
            }
        }
        if !options.isEmpty {
            entry["options"] = .object(
                JSONObject(options.sorted { $0.key < $1.key }.map { (key: $0.key, value: JSON($0.value)) }))
        }
        if let size = planned.size {
            entry["schema"] = size.schema.map { JSON($0) }
            entry["parameters"] = JSON(size.parameters)
            entry["bytes"] = JSON(size.bytes)
            entry["macs"] = JSON(size.macs)
        }
        return entry
    }
}
