"""Invented names for an invented city: Chinese with a Latin reading. No real firm, estate or person is meant."""

from __future__ import annotations

from typing import Final

from lift.register import PlaceClass

DISTRICTS: Final = (
    ("青岚区", "Qinglan"), ("云泽区", "Yunze"), ("临潮区", "Linchao"), ("松隐区", "Songyin"),
    ("镜湖新区", "Jinghu New"), ("白榆区", "Baiyu"), ("南埠区", "Nanbu"), ("北渚区", "Beizhu"),
    ("望舒区", "Wangshu"), ("澄江镇", "Chengjiang"), ("鹿鸣区", "Luming"), ("东篱区", "Dongli"),
    ("西塬区", "Xiyuan"), ("石湾镇", "Shiwan"), ("秋浦县", "Qiupu"), ("长汀岛", "Changting Island"),
)  # fmt: skip

STREETS: Final = (
    ("槐荫路", "Huaiyin Rd"), ("听涛街", "Tingtao St"), ("碧落大道", "Biluo Ave"), ("竹影巷", "Zhuying Ln"),
    ("银杏路", "Yinxing Rd"), ("星河街", "Xinghe St"), ("渔歌路", "Yuge Rd"), ("晨曦大道", "Chenxi Ave"),
    ("棠梨路", "Tangli Rd"), ("问渠街", "Wenqu St"), ("千帆路", "Qianfan Rd"), ("雁回路", "Yanhui Rd"),
)  # fmt: skip

_FIRST: Final = (
    ("锦", "Jin"), ("翠", "Cui"), ("云", "Yun"), ("澜", "Lan"), ("瑞", "Rui"), ("嘉", "Jia"), ("泰", "Tai"),
    ("兰", "Lan"), ("枫", "Feng"), ("鹭", "Lu"), ("霁", "Ji"), ("禾", "He"), ("朗", "Lang"), ("曜", "Yao"),
)  # fmt: skip
_SECOND: Final = (
    ("庭", "ting"), ("岸", "an"), ("和", "he"), ("川", "chuan"), ("城", "cheng"), ("源", "yuan"),
    ("景", "jing"), ("汀", "ting"), ("台", "tai"), ("华", "hua"), ("苑", "yuan"),
)  # fmt: skip

BUILDINGS: Final[dict[PlaceClass, tuple[str, str]]] = {
    PlaceClass.HOUSING: ("小区", "Gardens"),
    PlaceClass.MALL: ("商场", "Mall"),
    PlaceClass.HOTEL: ("宾馆", "Hotel"),
    PlaceClass.HOSPITAL: ("医院", "Hospital"),
    PlaceClass.OFFICE: ("大厦", "Tower"),
    PlaceClass.SCHOOL: ("学校", "School"),
    PlaceClass.LEISURE: ("文体中心", "Arts and Sports Centre"),
    PlaceClass.TRANSPORT: ("站", "Station"),
    PlaceClass.GOVERNMENT: ("政务楼", "Civic Hall"),
    PlaceClass.FACTORY: ("厂", "Works"),
    PlaceClass.CARE_HOME: ("颐养院", "Care Home"),
    PlaceClass.OTHER: ("楼", "House"),
}

# Make and its models; the rated speeds a model is sold with are in `simulator.city`.
MAKES: Final = (
    ("Zhenyun 震云", ("ZY-1000", "ZY-2200")),
    ("Huanyu Lift 寰屿", ("HY-E3", "HY-S7")),
    ("Kestrel 隼升", ("Kestrel 4", "Kestrel 9")),
    ("Tiangong 天弓", ("TG-A", "TG-H")),
    ("Nordhiss 诺希", ("N30", "N70")),
    ("Mingteng 鸣腾", ("MT-16", "MT-25")),
    ("Shanhe 杉禾", ("SH-1", "SH-2")),
)


def pair(number: int) -> tuple[str, str]:
    """Give a proper name, Chinese and Latin; numbers beyond the combinations get a numeral.

    >>> pair(0), pair(1)
    (('锦庭', 'Jinting'), ('翠岸', 'Cuian'))
    """
    count = len(_FIRST) * len(_SECOND)
    first, second = _FIRST[number % len(_FIRST)], _SECOND[number % len(_SECOND)]
    turn = number // count
    tail = f" {turn + 1}" if turn else ""
    return first[0] + second[0] + tail.strip(), first[1] + second[1] + tail
