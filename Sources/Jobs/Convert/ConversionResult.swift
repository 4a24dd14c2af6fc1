import CommandLineKit
import CompressionCore
import Safetensors

/// What a conversion did.
public struct ConversionResult: Sendable {
    /// What the report says anew of a matrix.
    struct Line: Sendable {
        let schema: String
        let rank: Int
        let parameters: Int
        let bytes: Int
        let macs: Int
        /// ‖W'_new − W'_old‖ / ‖W'_old‖.
        let change: Double
        /// ‖W − W'_new‖ / ‖W‖, where W was given.
        let error: Double?

        func updated(_ tensor: JSON) -> JSON {
            var tensor = tensor
            tensor["schema"] = JSON(schema)
            tensor["ranks"] = nil
            tensor["spectra"] = nil
            tensor["rank"] = JSON(rank)
            tensor["parameters"] = JSON(parameters)
            tensor["bytes"] = JSON(bytes)
            tensor["macs"] = JSON(macs)
            tensor["conversion_error"] = JSON(change)
            if let error { tensor["relative_error"] = JSON(error) }
            return tensor
        }
    }

    /// Matrices that were converted.
    public let forms: Int
    /// Compressed matrices that are no product of two thin ones, and stay as they are.
    public let others: (count: Int, schemas: String)
    /// Of all tensors written.
    public let bytes: Int
    /// Largest ‖W'_new − W'_old‖ / ‖W'_old‖.
    public private(set) var largestChange = 0.0
    /// By the name of the weight.
    private(set) var lines: [String: Line] = [:]

    init(forms: Int, others: (count: Int, schemas: String), bytes: Int) {
        self.forms = forms
        self.others = others
        self.bytes = bytes
    }

    mutating func add(_ form: StoredForm, _ converted: any LinearOperator, change: Double, error: Double?) {
        largestChange = max(largestChange, change)
        lines["\(form.module.name).weight"] = Line(
            schema: form.schema, rank: form.rank, parameters: converted.parameters, bytes: converted.bytes,
            macs: converted.macs, change: change, error: error)
    }

    public func text(output: String) -> String {
        "\(forms) matrices converted"
            + (others.count > 0
                ? ", \(others.count) are no product of two thin ones (\(others.schemas)) and stay as they are" : "")
            + "; largest change \(Quantity.significant(largestChange, 3)) relative to the matrix\n"
            + "wrote \(output): \(ByteCount.human(bytes)) (\(ByteCount.exact(bytes))) of tensors\n"
    }

    public func json(output: String) -> JSON {
        [
            "output": JSON(output), "converted": JSON(forms), "unchanged": JSON(others.count),
            "tensor_bytes": JSON(bytes), "largest_change": JSON(largestChange),
        ]
    }
}
