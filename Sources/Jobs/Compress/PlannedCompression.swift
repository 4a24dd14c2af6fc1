import Checkpoints
import CommandLineKit
import CompressionCore
import Planning
import Safetensors

/// A compression with its checkpoint open and its ranks decided, as far as shapes decide them.
public struct PlannedCompression: Sendable {
    public let checkpoint: Checkpoint
    public let plan: CompressionPlan

    /// Room for the finished modules and the output beside each other; without known ranks, for the dense sizes.
    var neededBytes: Int {
        get throws {
            let output = try plan.isKnownFromShapes ? OutputInventory(checkpoint).fileBytes(of: plan) : checkpoint.byteCount
            let modules = plan.modules.reduce(0) { total, planned in
                let dense = planned.module.parameters * planned.member.factorType.bytes
                return total + (planned.size.map { size in size.keptDense == nil ? size.bytes : 0 } ?? dense)
            }
            return output + modules
        }
    }

    /// A target of a size is never exceeded; the plan sees to it, and this would show where it did not.
    func checkTarget(_ report: CompressionReport) throws {
        switch plan.target {
        case .parameters(let limit) where report.parameters > limit:
            throw JobError.numericFailure("the result has \(report.parameters) parameters, above \(plan.target)")
        case .bytes(let limit) where report.bytes > limit:
            throw JobError.numericFailure("the result has \(report.bytes) bytes, above \(plan.target)")
        default:
            break
        }
    }

    /// One line a matrix, and what the plan comes to.
    public func table(width: Int = 80) -> String {
        var table = TextTable([.left("matrix", shrinks: true), .right("shape"), .left("stored as"), .right("numbers")])
        for planned in plan.modules {
            table.add([
                planned.module.name, "\(planned.module.outFeatures)×\(planned.module.inFeatures)",
                Self.storage(of: planned.size),
                planned.size.map { Quantity.grouped(Self.parameters(of: planned, $0)) } ?? "?",
            ])
        }
        return table.text(width: width)
    }

    /// The table, and the totals where they are known.
    public func text() throws -> String {
        var text = table()
        if let totals = try totals() {
            let kept = Double(totals.selected) / Double(max(totals.selectedDense, 1))
            text += "\n\(plan.modules.count) matrices to \(Quantity.percent(kept)) of their parameters (\(plan.target)); "
                + "whole model \(Quantity.grouped(totals.parameters)) parameters, "
                + "\(ByteCount.exact(totals.fileBytes)) of weight files\n"
        } else {
            text += "\n\(plan.modules.count) matrices; ranks follow from their spectra (\(plan.target))\n"
        }
        return text
    }

    /// Totals of the plan; nil where ranks depend on the weights.
    public func totals() throws -> (selected: Int, selectedDense: Int, parameters: Int, fileBytes: Int)? {
        guard plan.isKnownFromShapes else { return nil }
        let inventory = try OutputInventory(checkpoint)
        return (
            inventory.parameters(ofSelected: plan), plan.modules.reduce(0) { $0 + $1.module.parameters },
            inventory.parameters(of: plan), try inventory.fileBytes(of: plan)
        )
    }

    public func json() throws -> JSON {
        var document: JSON = ["target": JSON("\(plan.target)")]
        if let totals = try totals() {
            document["totals"] = [
                "parameters": JSON(totals.parameters), "file_bytes": JSON(totals.fileBytes),
                "keep_compressed": JSON(Double(totals.selected) / Double(max(totals.selectedDense, 1))),
                "keep_model": JSON(Double(totals.parameters) / Double(max(checkpoint.parameterCount, 1))),
            ]
        }
        var modules = JSONObject(), dense = JSONObject()
        for planned in plan.modules {
            if let reason = planned.size?.keptDense {
                dense[planned.module.name] = JSON(reason)
            } else if let size = planned.size {
                var entry: JSON = ["parameters": JSON(size.parameters), "macs": JSON(size.macs)]
                entry["schema"] = size.schema.map { JSON($0) }
                for (key, value) in size.entry.entries { entry[key] = value }
                modules[planned.module.name] = entry
            } else {
                modules[planned.module.name] = ["rank": .null]
            }
        }
        document["modules"] = .object(modules)
        document["kept_dense"] = .object(dense)
        return document
    }

    private static func storage(of size: PlannedSize?) -> String {
        guard let size else { return "rank by its spectrum" }
        if size.keptDense != nil { return "dense" }
        return size.entry["rank"]?.int.map { "rank \($0)" } ?? size.schema ?? ""
    }

    private static func parameters(of planned: PlannedModule, _ size: PlannedSize) -> Int {
        size.keptDense == nil ? size.parameters : planned.module.parameters
    }
}
