import CommandLineKit

extension Diagnosis {
    /// Tables for people.
    public var text: String {
        [matrixTable, roleTable, tieTable, closing].joined(separator: "\n")
    }

    private var matrixTable: String {
        let knowsInputs = matrices.contains { $0.activations != nil }
        var columns: [TextTable.Column] = [
            .right("layer"), .left("role"), .right("full"), .right("effective"), .right("90 %"), .right("above bulk"),
            .right("energy"),
        ]
        if knowsInputs { columns += [.right("of WX"), .right("90 %")] }
        columns += [.right("largest/rms")]
        var table = TextTable(columns)
        for matrix in matrices {
            let shape = matrix.spectrum
            var cells = [
                matrix.module.layer.map { "\($0)" } ?? "–", Self.role(of: matrix),
                "\(min(matrix.module.outFeatures, matrix.module.inFeatures))",
                Quantity.fixed(shape.effectiveRank, 1), "\(shape.rankKeeping90)", "\(shape.spikes)",
                Quantity.percent(shape.spikeEnergy, digits: 0),
            ]
            if knowsInputs {
                let seen = matrix.activations
                cells += [
                    seen.map { Quantity.fixed($0.effectiveRank, 1) } ?? "–", seen.map { "\($0.rankKeeping90)" } ?? "–",
                ]
            }
            table.add(cells + [Quantity.fixed(matrix.outliers.largest, 1)])
        }
        return "Ranks: full, effective, keeping 90 % of the energy; directions above the bulk that noise would fill,\n"
            + "and their energy; " + (knowsInputs ? "effective rank and 90 % of what a layer makes of inputs; " : "")
            + "the largest entry\n" + table.text()
    }

    private var roleTable: String {
        var table = TextTable([
            .left("role"), .right("matrices"), .right("effective/full"), .right("factors"), .right("pivots"),
            .right("factors for WX"), .right("outliers"),
        ])
        for role in roles {
            table.add([
                role.role.rawValue, "\(role.matrices)", Quantity.fixed(role.spread, 2),
                Quantity.percent(role.factors, digits: 0), Quantity.percent(role.pivots, digits: 0),
                role.activationFactors.map { Quantity.percent($0, digits: 0) } ?? "–", "\(role.outliers)",
            ])
        }
        return "By role: numbers that keep 90 % of the energy, of the dense ones\n" + table.text()
    }

    /// The role; experts with their number, other linear layers by name.
    private static func role(of matrix: Matrix) -> String {
        if let expert = matrix.module.expert { return "\(matrix.module.role.rawValue) \(expert)" }
        return matrix.module.role == .linear ? matrix.module.name : matrix.module.role.rawValue
    }

    private var tieTable: String {
        var table = TextTable([
            .left("tied"), .left("role"), .right("groups"), .right("overlap"), .right("chance"), .right("shared"),
            .right("apart"),
        ])
        for verdict in verdicts {
            table.add([
                verdict.kind.rawValue, verdict.role.rawValue, "\(verdict.ties)", Quantity.fixed(verdict.measured, 3),
                Quantity.fixed(verdict.chance, 3), verdict.sharedError.map { Quantity.fixed($0, 3) } ?? "–",
                verdict.ownError.map { Quantity.fixed($0, 3) } ?? "–",
            ])
        }
        let share = Quantity.percent(keep, digits: 0)
        return "Overlap of leading subspaces (mean cos² of principal angles, 1 for equal ones), and relative errors\n"
            + "in a basis shared by two layers and apart, both within \(share) of the parameters\n" + table.text()
    }

    private var closing: String {
        var text = roles.compactMap { role in role.sentence.map { "\(role.role.rawValue): \($0)\n" } }.joined()
        text += verdicts.map { "\($0.kind.rawValue), \($0.role.rawValue): \($0.sentence)\n" }.joined()
        let outliers = matrices.filter { $0.outliers.count > 0 }.sorted { $0.outliers.largest > $1.outliers.largest }
        for matrix in outliers.prefix(Self.outlierLines) {
            text += "\(matrix.module.name): \(matrix.outliers.count) outliers, the largest "
                + "\(Quantity.fixed(matrix.outliers.largest, 0)) times the root mean square at output "
                + "\(matrix.outliers.row), input \(matrix.outliers.column): keep it dense, or use saten\n"
        }
        return text
    }

    /// Matrices with outliers that are named.
    private static let outlierLines = 5
}
