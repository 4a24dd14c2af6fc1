import MatrixCore
import Safetensors

/// Changes documents and bytes at random; the same seed and number give the same change.
struct Mutator {
    private let random: CounterRandom
    private var position = 0

    init(seed: UInt64, number: Int) {
        random = CounterRandom(seed: seed, stream: UInt64(number))
    }

    mutating func integer(below bound: Int) -> Int {
        position += 1
        return bound > 0 ? random.integer(position, below: bound) : 0
    }

    private mutating func element<Element>(of list: [Element]) -> Element { list[integer(below: list.count)] }

    // MARK: Text

    /// A document with some values changed, and now and then its text as well.
    mutating func text(of json: JSON) -> [UInt8] {
        var changed = json
        let changes = 1 + integer(below: 3)
        if integer(below: 4) > 0 { for _ in 0..<changes { changed = document(changed) } }
        let bytes = Array(changed.text(pretty: false).utf8)
        return integer(below: 3) == 0 ? self.bytes(bytes, changes: changes) : bytes
    }

    private mutating func document(_ json: JSON) -> JSON {
        switch json {
        case .object(let object) where !object.isEmpty && integer(below: 8) > 0:
            var entries = object.entries
            let place = integer(below: entries.count)
            switch integer(below: 12) {
            case 0: entries.remove(at: place)
            case 1: entries[place].key = element(of: Self.words)
            case 2: entries.append((element(of: Self.words), value()))
            case 3: entries.append((element(of: entries).key + "x", entries[place].value))
            default: entries[place].value = document(entries[place].value)
            }
            return .object(JSONObject(entries.reduce(into: JSONObject()) { $0[$1.key] = $1.value }.entries))
        case .array(var elements) where !elements.isEmpty && integer(below: 8) > 0:
            let place = integer(below: elements.count)
            switch integer(below: 8) {
            case 0: elements.remove(at: place)
            case 1: elements.append(elements[place])
            case 2: elements.swapAt(place, integer(below: elements.count))
            default: elements[place] = document(elements[place])
            }
            return .array(elements)
        case .number(let number) where integer(below: 3) == 0:
            return JSON((number.int ?? 0) &+ element(of: [1, -1, 2, 8]))
        default:
            return value()
        }
    }

    private mutating func value() -> JSON {
        switch integer(below: 6) {
        case 0: JSON(element(of: Self.numbers))
        case 1: JSON(element(of: [0.5, -0.0, Double.leastNonzeroMagnitude, 1e308, 2.5, 1e18]))
        case 2: JSON(element(of: Self.words))
        case 3: element(of: [.null, JSON(true), JSON(false)])
        case 4: element(of: [[], [[]], [1, 2], ["a"], [0], [-1]])
        default: element(of: [[:], ["a": 1], ["type": "x"]])
        }
    }

    private static let numbers = [
        0, 1, 2, 3, 7, 64, 255, 65_537, -1, -2, 1 << 31, (1 << 31) - 1, 1 << 40, 1 << 53, .max, .min, .max - 1,
    ]

    private static let words = [
        "", "a", "weight", "rank", "type", "svd", "tt", "U8", "F64", "BF16", "..", "/", "\u{0}", "é", "\u{1F600}",
        "model.layers.0.self_attn.q_proj", String(repeating: "(", count: 200), String(repeating: "x", count: 3000),
    ]

    // MARK: Bytes

    mutating func bytes(_ original: [UInt8], changes: Int) -> [UInt8] {
        var bytes = original
        for _ in 0..<changes where !bytes.isEmpty {
            let place = integer(below: bytes.count), length = 1 + integer(below: min(16, bytes.count - place))
            switch integer(below: 7) {
            case 0: bytes[place] = UInt8(truncatingIfNeeded: integer(below: 256))
            case 1: bytes[place] ^= 1 << UInt8(integer(below: 8))
            case 2: bytes.removeSubrange(place..<place + length)
            case 3: bytes.insert(contentsOf: bytes[place..<place + length], at: place)
            case 4: bytes.removeSubrange(place...)
            case 5: bytes.insert(contentsOf: Array(element(of: Self.fragments).utf8), at: place)
            default: bytes[place] = element(of: Array("0123456789{}[],:\"\\-e. ".utf8))
            }
        }
        return bytes
    }

    private static let fragments = [
        "9999999999999999999999", "1e999", "-", "\"", "{", "[", "]", "}", "null", "\\u0000", "\\ud800", ",",
        String(repeating: "[", count: 2000), String(repeating: "{\"a\":", count: 600),
    ]
}
