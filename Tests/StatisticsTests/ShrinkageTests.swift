import MatrixCore
import Testing

@testable import Statistics

struct ShrinkageTests {
    private func moments(_ count: Int, features: Int = 20) -> InputMoments {
        let moments = InputMoments(features: features)
        moments.add(tokens(count, features: features).view)
        return moments
    }

    /// The formula as the paper has it, with a loop over the tokens.
    @Test(arguments: [2, 7, 60])
    func intensityIsThatOfThePaper(count: Int) {
        let x = tokens(count, features: 20), t = Double(count)
        let s = Matrix64(rows: 20, columns: 20) { i, j in
            (0..<count).reduce(0) { $0 + Double(x[$1, i]) * Double(x[$1, j]) } / t
        }
        let mean = (0..<20).reduce(0) { $0 + s[$1, $1] } / 20
        var distance = 0.0, noise = 0.0
        for i in 0..<20 {
            for j in 0..<20 {
                let off = s[i, j] - (i == j ? mean : 0)
                distance += off * off
                for token in 0..<count {
                    let difference = Double(x[token, i]) * Double(x[token, j]) - s[i, j]
                    noise += difference * difference / (t * (t - 1))
                }
            }
        }
        let found = Shrinkage(of: moments(count))
        let expected = min(noise / distance, 0.9)
        #expect(abs(found.intensity - expected) < 1e-12)
        #expect(abs(found.ridge - expected * mean * t / (1 - expected)) < 1e-9 * found.ridge)
    }

    @Test func moreTokensShrinkLess() {
        let intensities = [1, 20, 400, 8000].map { Shrinkage(of: moments($0)).intensity }
        #expect(intensities == intensities.sorted(by: >))
        #expect(intensities[0] == 0.9)
        #expect(intensities[3] < 0.01)
    }

    @Test func nothingIsAddedToWhatNeedsNothing() {
        #expect(Shrinkage(of: InputMoments(features: 4)).ridge == 0)
        #expect(Shrinkage(of: moments(5, features: 1)).ridge == 0)
    }
}
