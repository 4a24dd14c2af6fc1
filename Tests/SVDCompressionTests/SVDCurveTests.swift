import CompressionCore
import Foundation
import Kernels
import LinearAlgebra
import MatrixCore
import Testing

@testable import SVDCompression

/// A curve and a truncation from one decomposition are those of two.
@Suite struct SVDCurveTests {
    private static let rows = 24, columns = 36
    private let weight: Matrix = CounterRandom(seed: 5).normalMatrix(rows: rows, columns: columns)

    private func task(_ form: String) throws -> CompressionTask {
        var objective = Objective(target: MatrixOperand(weight))
        var stored: GroupMember.StoredFactors?
        switch form {
        case "gram":
            let x: Matrix64 = CounterRandom(seed: 6).normalMatrix(rows: Self.columns, columns: 80)
            var moment = Matrix64(rows: x.rows, columns: x.rows)
            multiplyByTranspose(MatrixOperand(x), into: moment.mutableView())
            objective.inputs = .gram(try GramMetric(moment: moment))
        case "factors":
            let left: Matrix = CounterRandom(seed: 7).normalMatrix(rows: Self.rows, columns: 9)
            let right: Matrix = CounterRandom(seed: 8).normalMatrix(rows: 9, columns: Self.columns)
            var product = Matrix(rows: Self.rows, columns: Self.columns)
            multiply(MatrixOperand(left), MatrixOperand(right), into: product.mutableView())
            stored = GroupMember.StoredFactors(rank: 9, parameters: 9 * (Self.rows + Self.columns))
            objective = Objective(
                target: MatrixOperand(product),
                factors: Factors(left: MatrixOperand(left), right: MatrixOperand(right)))
        case "huge":
            let target = Matrix64(rows: Self.rows, columns: Self.columns) { Double(weight[$0, $1]) * 0x1p302 }
            objective = Objective(target: MatrixOperand(target))
        default: break
        }
        let member = GroupMember(
            module: "m", outFeatures: Self.rows, inFeatures: Self.columns, factorType: .float32, stored: stored)
        return CompressionTask(member: member, objective: objective)
    }

    @Test(
        arguments: ["plain", "gram", "factors"],
        [TruncatedSVD.Route.automatic, .direct, .randomized()])
    func bothAreThoseOfTwoDecompositions(form: String, route: TruncatedSVD.Route) throws {
        for storage in [MethodSettings.Storage.factors, .pivot] {
            let compressor = SVDCompressor(route: route, storage: storage), task = try task(form)
            let alone = try #require(try compressor.curve(of: task))
            let found = try #require(
                try compressor.curve(of: task) { curve in
                    #expect(curve.points.map(\.parameters) == alone.points.map(\.parameters))
                    return 5
                })
            #expect(found.curve.squaredSpectrum == alone.squaredSpectrum && found.curve.points == alone.points)
            let expected = try compressor.compress([task], budget: .rank(5))[0]
            guard case .compressed(let one, _) = expected, case .compressed(let other, _) = found.truncated else {
                Issue.record("not compressed")
                return
            }
            #expect(one.tensors.map(\.tensor.floats) == other.tensors.map(\.tensor.floats))
        }
    }

    /// Against the spectrum of the direct route, without a rank and far from the range of Float.
    @Test(arguments: ["plain", "gram", "huge"])
    func lossesAreTailsOfTheSpectrum(form: String) throws {
        let task = try task(form)
        let found = try #require(try SVDCompressor().curve(of: task) { _ in nil })
        #expect(found.truncated == nil)
        let weighted = task.objective.inputs.weighted(task.objective.target)
        let spectrum = try TruncatedSVD(route: .direct).spectrum(weighted)
        for point in found.curve.points {
            let tail = spectrum.dropFirst(point.rank).reduce(0) { $0 + $1 * $1 }
            #expect(abs(point.loss - tail) <= 1e-9 * tail + 1e-12 * found.curve.total)
        }
    }
}
